package wiki

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var errExpression = errors.New("not an expression")

// evaluate computes what #expr does: arithmetic with comparison and logic.
func evaluate(s string) (float64, error) {
	if len(s) > 4096 {
		return 0, errExpression
	}
	e := expression{rest: strings.NewReplacer("&minus;", "-", "−", "-", "&nbsp;", " ", "\u00a0", " ", "&lt;", "<", "&gt;", ">", "×", "*", "÷", "/").Replace(strings.ToLower(s))}
	v := e.binary(0)
	e.space()
	if e.bad || e.rest != "" || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, errExpression
	}
	return v, nil
}

type expression struct {
	rest  string
	depth int
	bad   bool
}

func (e *expression) space() { e.rest = strings.TrimLeft(e.rest, " \t\n") }

// operators by how closely they bind, the loosest first.
var operators = [][]string{
	{"or"}, {"and"}, {"<>", "!=", "<=", ">=", "=", "<", ">"}, {"round"}, {"+", "-"}, {"*", "/", "div", "mod", "fmod"}, {"^"},
}

func (e *expression) take(words []string) string {
	e.space()
	for _, w := range words {
		if strings.HasPrefix(e.rest, w) {
			after := e.rest[len(w):]
			if isLetter(w[0]) && after != "" && isLetter(after[0]) {
				continue
			}
			e.rest = after
			return w
		}
	}
	return ""
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func (e *expression) binary(level int) float64 {
	if level == len(operators) {
		return e.unary()
	}
	v := e.binary(level + 1)
	for !e.bad {
		op := e.take(operators[level])
		if op == "" {
			break
		}
		v = e.apply(op, v, e.binary(level+1))
	}
	return v
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (e *expression) apply(op string, a, b float64) float64 {
	switch op {
	case "or":
		return truth(a != 0 || b != 0)
	case "and":
		return truth(a != 0 && b != 0)
	case "<>", "!=":
		return truth(a != b)
	case "<=":
		return truth(a <= b)
	case ">=":
		return truth(a >= b)
	case "=":
		return truth(a == b)
	case "<":
		return truth(a < b)
	case ">":
		return truth(a > b)
	case "round":
		return roundTo(a, int(max(-300, min(300, b))))
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/", "div":
		return a / b
	case "mod":
		return math.Mod(math.Trunc(a), math.Trunc(b))
	case "fmod":
		return math.Mod(a, b)
	}
	return math.Pow(a, b)
}

// roundTo rounds half away from zero to the given number of decimals, which may
// be negative.
func roundTo(v float64, decimals int) float64 {
	scale := math.Pow(10, float64(decimals))
	r := math.Round(v*scale) / scale
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return v
	}
	return r
}

var unaryFunctions = map[string]func(float64) float64{
	"not": func(v float64) float64 { return truth(v == 0) }, "ceil": math.Ceil, "floor": math.Floor, "trunc": math.Trunc, "abs": math.Abs,
	"sqrt": math.Sqrt, "exp": math.Exp, "ln": math.Log, "sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "asin": math.Asin, "acos": math.Acos, "atan": math.Atan,
}

func (e *expression) unary() float64 {
	if e.depth++; e.depth > 100 {
		e.bad = true
		return 0
	}
	defer func() { e.depth-- }()
	e.space()
	if e.rest == "" {
		e.bad = true
		return 0
	}
	switch c := e.rest[0]; {
	case c == '-':
		e.rest = e.rest[1:]
		return -e.unary()
	case c == '+':
		e.rest = e.rest[1:]
		return e.unary()
	case c == '(':
		e.rest = e.rest[1:]
		v := e.binary(0)
		if e.take([]string{")"}) == "" {
			e.bad = true
		}
		return v
	case isLetter(c):
		n := 1
		for n < len(e.rest) && isLetter(e.rest[n]) {
			n++
		}
		word := e.rest[:n]
		e.rest = e.rest[n:]
		switch word {
		case "pi":
			return math.Pi
		case "e":
			return math.E
		}
		if f, ok := unaryFunctions[word]; ok {
			return f(e.unary())
		}
		e.bad = true
		return 0
	default:
		n := 0
		for n < len(e.rest) && ('0' <= e.rest[n] && e.rest[n] <= '9' || e.rest[n] == '.') {
			n++
		}
		// "2e3" is a number.
		if n > 0 && n+1 < len(e.rest) && e.rest[n] == 'e' {
			m := n + 1
			if e.rest[m] == '-' || e.rest[m] == '+' {
				m++
			}
			k := m
			for k < len(e.rest) && '0' <= e.rest[k] && e.rest[k] <= '9' {
				k++
			}
			if k > m {
				n = k
			}
		}
		v, err := strconv.ParseFloat(e.rest[:n], 64)
		if err != nil {
			e.bad = true
			return 0
		}
		e.rest = e.rest[n:]
		return v
	}
}

// formatValue writes a number as #expr does, with up to 14 digits.
func formatValue(v float64) string {
	s := strconv.FormatFloat(v, 'g', 14, 64)
	if strings.Contains(s, "e") && math.Abs(v) < 1e15 && math.Abs(v) > 1e-6 {
		s = strconv.FormatFloat(v, 'f', -1, 64)
	}
	if strings.Contains(s, ".") && !strings.Contains(s, "e") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		s = "0"
	}
	return s
}
