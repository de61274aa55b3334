package trainer

import (
	"fmt"
	"math"
	"slices"
)

// The kinds of Schedule.
const (
	// Linear warms up, then falls linearly to Final over the steps that are left:
	// the form of transformers, with a rate of 0 at step 0.
	Linear = "linear"
	// BERTLinear is the published BERT code's form: the decay runs over all steps
	// and the warm-up replaces its beginning, so that the rate drops a little where
	// the warm-up ends.
	BERTLinear = "bert"
	// Cosine warms up, then falls along half a cosine (Loshchilov and Hutter 2017).
	Cosine = "cosine"
	// InverseSqrt warms up, then falls with the square root of the step (Vaswani et
	// al. 2017).
	InverseSqrt = "inverse-sqrt"
	// WSD warms up, stays, and falls over the last Cooldown steps as one minus a
	// square root (Hägele et al. 2024).
	WSD = "wsd"
	// OneCycle rises along half a cosine from a 25th to the whole rate in the first
	// three tenths of the run, and falls along another to a 250,000th (Smith and Topin
	// 2018, with the constants of PyTorch's OneCycleLR). It is the one for runs of a
	// wall-clock budget, whose number of steps nobody knows.
	OneCycle = "one-cycle"
	// Constant warms up and stays.
	Constant = "constant"
)

// Schedules lists the kinds of Schedule.
func Schedules() []string {
	return []string{Linear, BERTLinear, Cosine, InverseSqrt, WSD, OneCycle, Constant}
}

// The constants of OneCycle: where it peaks, and what it begins and ends at.
const (
	oneCyclePeak  = 0.3
	oneCycleBegin = 1.0 / 25
	oneCycleEnd   = oneCycleBegin / 1e4
)

// Schedule is the learning rate's course, as a factor of the optimiser's rate.
type Schedule struct {
	Kind string `json:"kind"`
	// Warmup is the number of steps over which the rate rises linearly from 0.
	Warmup int64 `json:"warmup"`
	// Cooldown is the number of steps over which WSD falls at the end.
	Cooldown int64 `json:"cooldown,omitempty"`
	// Final is the factor that Linear, Cosine and WSD end at.
	Final float64 `json:"final,omitempty"`
}

func (s Schedule) check(steps int64) error {
	switch {
	case !slices.Contains(Schedules(), s.Kind):
		return fmt.Errorf("Schedule.Kind: %w: %q is none of %q", ErrConfig, s.Kind, Schedules())
	case s.Kind == OneCycle && s.Warmup > 0:
		return fmt.Errorf("Schedule.Warmup: %w: one-cycle has its own", ErrConfig)
	case s.Warmup < 0 || s.Warmup > steps:
		return fmt.Errorf("Schedule.Warmup: %w: %d of %d steps", ErrConfig, s.Warmup, steps)
	case s.Cooldown < 0 || s.Cooldown > steps-s.Warmup:
		return fmt.Errorf("Schedule.Cooldown: %w: %d of the %d steps after the warm-up", ErrConfig, s.Cooldown, steps-s.Warmup)
	case !(s.Final >= 0 && s.Final <= 1):
		return fmt.Errorf("Schedule.Final: %w: %v is not in [0, 1]", ErrConfig, s.Final)
	}
	return nil
}

// Factor returns the factor of the learning rate at a step, from 0, of a run of
// steps steps.
func (s Schedule) Factor(step, steps int64) float64 {
	if step < s.Warmup {
		return float64(step) / float64(s.Warmup)
	}
	// done is the part of the decay that has passed.
	done := float64(step-s.Warmup) / float64(max(1, steps-s.Warmup))
	switch s.Kind {
	case OneCycle:
		// Steps count from 0, and the last has the least rate.
		return oneCycle(float64(step), max(0, oneCyclePeak*float64(steps)-1), max(1, float64(steps-1)))
	case Linear:
		return s.Final + (1-s.Final)*(1-done)
	case BERTLinear:
		return 1 - float64(step)/float64(steps)
	case Cosine:
		return s.Final + (1-s.Final)*0.5*(1+math.Cos(math.Pi*done))
	case InverseSqrt:
		return math.Sqrt(float64(max(1, s.Warmup)) / float64(max(1, step)))
	case WSD:
		if left := steps - step; left < s.Cooldown {
			return s.Final + (1-s.Final)*(1-math.Sqrt(1-float64(left)/float64(s.Cooldown)))
		}
	}
	return 1
}

// oneCycle returns OneCycle's factor at a place of a run that peaks at another.
func oneCycle(at, peak, end float64) float64 {
	between := func(from, to, part float64) float64 {
		return to + (from-to)/2*(1+math.Cos(math.Pi*min(1, part)))
	}
	if at < peak {
		return between(oneCycleBegin, 1, at/peak)
	}
	return between(1, oneCycleEnd, (at-peak)/(end-peak))
}
