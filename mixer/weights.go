package mixer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Weighting says what the weights of a mix mean. The zero value takes them as
// shares of the tokens.
type Weighting struct {
	// Samples makes weights shares of the samples instead of the tokens, and sizes
	// numbers of samples.
	Samples bool
	// Sized multiplies each weight with a power of the component's size, what it
	// has in one pass: min(size, Cap)^(1/Temperature) (Raffel et al., "T5", 2020,
	// section 3.5.2). A temperature of 1 without a cap is proportional mixing.
	Sized bool
	// Temperature is at least 1; 0 means 1. Cap is 0 for none.
	Temperature float64
	Cap         int64
}

// ParseWeighting reads a weighting as it is written on a command line: words
// separated by commas, of
//
//	fixed            weights as they are (the default)
//	proportional     weights times sizes
//	temperature=T    weights times sizes to the power of 1/T
//	cap=N            no size counts as more than N
//	by=tokens        shares and sizes are in tokens (the default)
//	by=samples       shares and sizes are in samples
func ParseWeighting(text string) (Weighting, error) {
	var w Weighting
	for word := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		var err error
		switch {
		case key == "fixed" && value == "":
		case key == "proportional" && value == "":
			w.Sized = true
		case key == "temperature":
			w.Sized = true
			w.Temperature, err = strconv.ParseFloat(value, 64)
		case key == "cap":
			w.Sized = true
			w.Cap, err = strconv.ParseInt(value, 10, 64)
		case key == "by" && (value == "tokens" || value == "samples"):
			w.Samples = value == "samples"
		default:
			return w, fmt.Errorf("weighting %q: %q is none of fixed, proportional, temperature=T, cap=N, by=tokens and by=samples", text, word)
		}
		if err != nil {
			return w, fmt.Errorf("weighting %q: %q is no number", text, value)
		}
	}
	if err := w.check(); err != nil {
		return w, fmt.Errorf("weighting %q: %w", text, err)
	}
	return w, nil
}

func (w Weighting) check() error {
	switch {
	case w.Temperature != 0 && !(w.Temperature >= 1 && w.Temperature <= 1e6):
		return fmt.Errorf("a temperature of %g is not between 1 and 1000000", w.Temperature)
	case w.Cap < 0:
		return fmt.Errorf("a cap of %d is negative", w.Cap)
	}
	return nil
}

// size is what a component of the given size counts for.
func (w Weighting) size(n int64) float64 {
	if !w.Sized {
		return 1
	}
	if w.Cap > 0 {
		n = min(n, w.Cap)
	}
	if w.Temperature <= 1 {
		return float64(n)
	}
	return steady(math.Pow(float64(n), 1/w.Temperature))
}

// steady drops the bits of a computed weight that machines may differ in.
func steady(x float64) float64 { return float64(float32(x)) }

// shares returns the shares of a mix's components, which add up to about one;
// size gives what a component has in one pass.
func (w Weighting) shares(mix Mix, size func(Component) int64) []float64 {
	// A band counts as one component with the size of all of it.
	type band struct {
		weight, parts float64
		size          int64
	}
	bands := map[string]*band{}
	for _, c := range mix {
		b := bands[c.bandKey()]
		if b == nil {
			b = &band{weight: c.Weight}
			bands[c.bandKey()] = b
		}
		b.size += size(c)
		b.parts += c.part(size(c))
	}
	shares := make([]float64, len(mix))
	// The sum is taken in the order of labels: that of the mix must not matter.
	order := make([]int, len(mix))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(mix[a].Label(), mix[b].Label()) })
	sum := 0.0
	for _, i := range order {
		c := mix[i]
		b := bands[c.bandKey()]
		shares[i] = b.weight * w.size(b.size)
		if c.Band != "" {
			shares[i] = steady(shares[i] * (c.part(size(c)) / b.parts))
		}
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

func (c Component) bandKey() string {
	if c.Band == "" {
		return c.Label()
	}
	return "band " + c.Band
}

// part is what a component counts for in its band.
func (c Component) part(size int64) float64 {
	if c.Band == "" {
		return 1
	}
	return steady(float64(size) * c.Times)
}

// Curriculum splits a component by a signal and says when each part of it joins:
// part i holds the documents whose signal is above bounds[i-1] and up to
// bounds[i], the last one those above the last bound. The parts that have joined
// share the component's weight in proportion to their tokens, so that a curriculum
// by length is bounds of "length" with rising steps.
type Curriculum struct {
	// Source is the name of a source of the mix.
	Source, Signal string
	Bounds         []float64
	// Steps says at which step each part joins; the first must be 0. Length
	// len(Bounds)+1. Nil: all of them at step 0.
	Steps []int64
	// Times says how many times a part counts beside the others (upweighting by
	// the signal). Length len(Bounds)+1, or nil: all count once.
	Times []float64
}

// ParseCurriculum reads a curriculum or an upweighting as it is written on a
// command line: the source, the signal, and for each part its upper bound with
// what goes before it, the step at which it joins, and what comes after, how many
// times it counts. The last bound is inf.
//
//	wiki words 0:100 1000:300 2000:inf       short documents first
//	wiki lang_score 0.8 inf*3                good ones three times as often
func ParseCurriculum(text string) (Curriculum, error) {
	var c Curriculum
	words := strings.Fields(text)
	fail := func(format string, args ...any) (Curriculum, error) {
		return c, fmt.Errorf("curriculum %q: %s", text, fmt.Sprintf(format, args...))
	}
	if len(words) < 4 {
		return fail("want a source, a signal and two bounds at least")
	}
	c.Source, c.Signal = words[0], words[1]
	steps, times := false, false
	for i, word := range words[2:] {
		bound := word
		step, factor := int64(0), 1.0
		var err error
		if before, after, ok := strings.Cut(word, ":"); ok {
			steps = true
			bound = after
			if step, err = strconv.ParseInt(before, 10, 64); err != nil {
				return fail("%q is no step", before)
			}
		}
		if before, after, ok := strings.Cut(bound, "*"); ok {
			times = true
			bound = before
			if factor, err = strconv.ParseFloat(after, 64); err != nil {
				return fail("%q is no number", after)
			}
		}
		c.Steps, c.Times = append(c.Steps, step), append(c.Times, factor)
		if i == len(words)-3 {
			if bound != "inf" {
				return fail("the last bound is %q; it must be inf", bound)
			}
			break
		}
		b, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			return fail("%q is no number", bound)
		}
		c.Bounds = append(c.Bounds, b)
	}
	if !steps {
		c.Steps = nil
	}
	if !times {
		c.Times = nil
	}
	return c, c.check()
}

func (c Curriculum) check() error {
	parts := len(c.Bounds) + 1
	switch {
	case c.Signal == "" || strings.IndexFunc(c.Signal, notInName) >= 0:
		return fmt.Errorf("the curriculum of %s: %q is no signal", c.Source, c.Signal)
	case parts < 2 || parts > 1000:
		return fmt.Errorf("the curriculum of %s: %d bounds; want 1 to 999", c.Source, parts-1)
	case c.Steps != nil && len(c.Steps) != parts || c.Times != nil && len(c.Times) != parts:
		return fmt.Errorf("the curriculum of %s: %d steps and %d factors for %d parts", c.Source, len(c.Steps), len(c.Times), parts)
	case c.Steps != nil && (c.Steps[0] != 0 || !slices.IsSorted(c.Steps)):
		return fmt.Errorf("the curriculum of %s: the steps %d do not rise from 0", c.Source, c.Steps)
	}
	for i, b := range c.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= c.Bounds[i-1] {
			return fmt.Errorf("the curriculum of %s: the bounds %g do not rise", c.Source, c.Bounds)
		}
	}
	return nil
}

// parts returns the parts of a component that have joined at a step.
func (c Curriculum) parts(of Component, step int64) Mix {
	var mix Mix
	for i := range len(c.Bounds) + 1 {
		if c.Steps != nil && c.Steps[i] > step {
			break
		}
		part := of
		var where []string
		if of.Where != "" {
			where = append(where, "("+of.Where+")")
		}
		if i > 0 {
			where = append(where, fmt.Sprintf("%s > %s", c.Signal, number(c.Bounds[i-1])))
		}
		if i < len(c.Bounds) {
			where = append(where, fmt.Sprintf("%s <= %s", c.Signal, number(c.Bounds[i])))
		}
		part.Where = strings.Join(where, " && ")
		part.Band, part.Times = of.Label()+" by "+c.Signal, 1
		if c.Times != nil {
			part.Times = c.Times[i]
		}
		mix = append(mix, part)
	}
	return mix
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// Unfold replaces the components that curricula name by their parts, in the mix
// and in the stages, and adds a stage at each step at which a part joins.
func (o *Options) Unfold(curricula []Curriculum) error {
	stages := append([]Stage{{Mix: o.Mix}}, o.Stages...)
	for _, c := range curricula {
		if err := c.check(); err != nil {
			return err
		}
		named := false
		for _, s := range stages {
			named = named || slices.ContainsFunc(s.Mix, func(m Component) bool { return m.Name == c.Source })
		}
		if !named {
			return fmt.Errorf("the curriculum of %s: the mix has no such source", c.Source)
		}
		for _, step := range c.Steps {
			at, found := slices.BinarySearchFunc(stages, step, func(s Stage, step int64) int { return cmp.Compare(s.From, step) })
			if found {
				continue
			}
			// What joins in a ramp joins when it is over, so that no ramp is cut.
			if before := stages[at-1]; before.Over > 0 && step < before.From+before.Over {
				return fmt.Errorf("the curriculum of %s: its step %d lies in the change of weights from step %d to %d", c.Source, step, before.From, before.From+before.Over)
			}
			stages = slices.Insert(stages, at, Stage{From: step, Mix: stages[at-1].Mix})
		}
	}
	for i, s := range stages {
		var mix Mix
		for _, m := range s.Mix {
			at := slices.IndexFunc(curricula, func(c Curriculum) bool { return c.Source == m.Name })
			if at < 0 {
				mix = append(mix, m)
				continue
			}
			mix = append(mix, curricula[at].parts(m, s.From)...)
		}
		stages[i].Mix = mix
	}
	o.Mix, o.Stages = stages[0].Mix, stages[1:]
	return nil
}
