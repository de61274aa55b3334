package trainer

import (
	"math"
	"testing"
)

func TestScheduleValues(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		step int64
		want float64
	}{
		{Schedule{Kind: Linear, Warmup: 10}, 0, 0},
		{Schedule{Kind: Linear, Warmup: 10}, 5, 0.5},
		{Schedule{Kind: Linear, Warmup: 10}, 10, 1},
		{Schedule{Kind: Linear, Warmup: 10}, 55, 0.5},
		{Schedule{Kind: Linear, Warmup: 10}, 100, 0},
		{Schedule{Kind: Linear, Warmup: 10, Final: 0.1}, 100, 0.1},
		{Schedule{Kind: Linear}, 0, 1},
		// The published BERT code has decayed by a tenth where its warm-up ends.
		{Schedule{Kind: BERTLinear, Warmup: 10}, 9, 0.9},
		{Schedule{Kind: BERTLinear, Warmup: 10}, 10, 0.9},
		{Schedule{Kind: BERTLinear, Warmup: 10}, 60, 0.4},
		{Schedule{Kind: Cosine, Warmup: 10}, 10, 1},
		{Schedule{Kind: Cosine, Warmup: 10}, 55, 0.5},
		{Schedule{Kind: Cosine, Warmup: 10, Final: 0.2}, 100, 0.2},
		{Schedule{Kind: InverseSqrt, Warmup: 16}, 16, 1},
		{Schedule{Kind: InverseSqrt, Warmup: 16}, 64, 0.5},
		{Schedule{Kind: WSD, Warmup: 10, Cooldown: 20}, 79, 1},
		{Schedule{Kind: WSD, Warmup: 10, Cooldown: 20}, 85, 0.5},
		{Schedule{Kind: WSD, Warmup: 10, Cooldown: 20}, 100, 0},
		{Schedule{Kind: Constant, Warmup: 2}, 1, 0.5},
		{Schedule{Kind: Constant, Warmup: 2}, 99, 1},
	} {
		if got := c.s.Factor(c.step, 100); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v at step %d: %v, want %v", c.s, c.step, got, c.want)
		}
	}
}

func TestScheduleStaysInRange(t *testing.T) {
	for _, kind := range Schedules() {
		for _, steps := range []int64{1, 2, 7, 1000} {
			s := Schedule{Kind: kind, Warmup: steps / 10, Cooldown: steps / 5}
			if kind == OneCycle {
				s.Warmup = 0
			}
			if err := s.check(steps); err != nil {
				t.Fatal(err)
			}
			for step := range steps {
				if f := s.Factor(step, steps); !(f >= 0 && f <= 1) {
					t.Fatalf("%s of %d steps: factor %v at step %d", kind, steps, f, step)
				}
			}
		}
	}
}
