package wiki

import (
	"math"
	"strconv"
	"strings"
)

// unitTable has the units of {{convert}}: codes, the dimension, the size in its
// base unit, the symbol, the singular, the plural, and what is converted to when
// the call does not say.
const unitTable = `
km|L|1000|km|kilometre|kilometres|mi
m|L|1|m|metre|metres|ftin
cm|L|0.01|cm|centimetre|centimetres|in
mm|L|0.001|mm|millimetre|millimetres|in
um μm|L|1e-6|μm|micrometre|micrometres|in
nm|L|1e-9|nm|nanometre|nanometres|in
mi mile miles|L|1609.344|mi|mile|miles|km
yd|L|0.9144|yd|yard|yards|m
ft foot feet|L|0.3048|ft|foot|feet|m
in inch inches|L|0.0254|in|inch|inches|mm
nmi|L|1852|nmi|nautical mile|nautical miles|km
furlong|L|201.168|furlong|furlong|furlongs|m
fathom|L|1.8288|fathom|fathom|fathoms|m
ly|L|9.4607304725808e15|ly|light-year|light-years|pc
pc|L|3.0856775814914e16|pc|parsec|parsecs|ly
au AU|L|149597870700|AU|astronomical unit|astronomical units|km
km2 sqkm|A|1e6|km²|square kilometre|square kilometres|sqmi
m2 sqm|A|1|m²|square metre|square metres|sqft
cm2 sqcm|A|1e-4|cm²|square centimetre|square centimetres|sqin
mm2|A|1e-6|mm²|square millimetre|square millimetres|sqin
ha hectare|A|1e4|ha|hectare|hectares|acre
sqmi mi2|A|2589988.110336|sq mi|square mile|square miles|km2
sqft ft2|A|0.09290304|sq ft|square foot|square feet|m2
sqin in2|A|0.00064516|sq in|square inch|square inches|cm2
sqyd yd2|A|0.83612736|sq yd|square yard|square yards|m2
acre acres|A|4046.8564224|acre|acre|acres|ha
kg|M|1|kg|kilogram|kilograms|lb
g|M|0.001|g|gram|grams|oz
mg|M|1e-6|mg|milligram|milligrams|gr
t MT tonne|M|1000|t|tonne|tonnes|LT
lb lbs|M|0.45359237|lb|pound|pounds|kg
oz|M|0.028349523125|oz|ounce|ounces|g
ozt|M|0.0311034768|ozt|troy ounce|troy ounces|g
gr|M|0.00006479891|gr|grain|grains|mg
st stone|M|6.35029318|st|stone|stone|kg
LT|M|1016.0469088|long tons|long ton|long tons|t
ST|M|907.18474|short tons|short ton|short tons|t
l L liter litre|V|0.001|L|litre|litres|impgal
ml mL|V|1e-6|mL|millilitre|millilitres|impoz
m3 cum|V|1|m³|cubic metre|cubic metres|cuft
cm3 cc|V|1e-6|cm³|cubic centimetre|cubic centimetres|cuin
km3|V|1e9|km³|cubic kilometre|cubic kilometres|cumi
cuft ft3|V|0.028316846592|cu ft|cubic foot|cubic feet|m3
cuin in3|V|1.6387064e-5|cu in|cubic inch|cubic inches|cm3
cuyd yd3|V|0.764554857984|cu yd|cubic yard|cubic yards|m3
cumi mi3|V|4168181825.44|cu mi|cubic mile|cubic miles|km3
USgal usgal gal|V|0.003785411784|US gal|US gallon|US gallons|L
impgal|V|0.00454609|imp gal|imperial gallon|imperial gallons|L
USoz usoz USfloz|V|2.95735295625e-5|US fl oz|US fluid ounce|US fluid ounces|mL
impoz impfloz|V|2.84130625e-5|imp fl oz|imperial fluid ounce|imperial fluid ounces|mL
acre.ft acre.foot acreft acre-ft|V|1233.48183754752|acre⋅ft|acre-foot|acre-feet|m3
bbl oilbbl|V|0.158987294928|bbl|barrel|barrels|m3
km/h kph kmh|S|0.2777777777777778|km/h|kilometre per hour|kilometres per hour|mph
m/s|S|1|m/s|metre per second|metres per second|ft/s
km/s|S|1000|km/s|kilometre per second|kilometres per second|mi/s
mph mi/h|S|0.44704|mph|mile per hour|miles per hour|km/h
mi/s|S|1609.344|mi/s|mile per second|miles per second|km/s
ft/s|S|0.3048|ft/s|foot per second|feet per second|m/s
kn knot knots|S|0.5144444444444445|kn|knot|knots|km/h
W|P|1|W|watt|watts|hp
kW|P|1000|kW|kilowatt|kilowatts|hp
MW|P|1e6|MW|megawatt|megawatts|hp
hp bhp shp|P|745.69987158227|hp|horsepower|horsepower|kW
PS|P|735.49875|PS|metric horsepower|metric horsepower|kW
J|E|1|J|joule|joules|ftlb
kJ|E|1000|kJ|kilojoule|kilojoules|kcal
MJ|E|1e6|MJ|megajoule|megajoules|kWh
kWh|E|3.6e6|kWh|kilowatt-hour|kilowatt-hours|MJ
kcal Cal|E|4184|kcal|kilocalorie|kilocalories|kJ
cal|E|4.184|cal|calorie|calories|J
BTU|E|1055.05585262|BTU|British thermal unit|British thermal units|kJ
ftlb ftlbf ft.lbf|E|1.3558179483314|ft⋅lb|foot-pound|foot-pounds|J
Pa|R|1|Pa|pascal|pascals|psi
hPa|R|100|hPa|hectopascal|hectopascals|inHg
kPa|R|1000|kPa|kilopascal|kilopascals|psi
MPa|R|1e6|MPa|megapascal|megapascals|psi
GPa|R|1e9|GPa|gigapascal|gigapascals|psi
bar|R|1e5|bar|bar|bars|kPa
mbar mb|R|100|mbar|millibar|millibars|inHg
atm|R|101325|atm|standard atmosphere|standard atmospheres|kPa
psi|R|6894.757293168|psi|pound per square inch|pounds per square inch|kPa
inHg|R|3386.388640341|inHg|inch of mercury|inches of mercury|hPa
mmHg|R|133.322387415|mmHg|millimetre of mercury|millimetres of mercury|kPa
N|F|1|N|newton|newtons|lbf
kN|F|1000|kN|kilonewton|kilonewtons|lbf
lbf|F|4.4482216152605|lbf|pound-force|pounds-force|N
Nm N.m|Q|1|N⋅m|newton-metre|newton-metres|lbft
lbft lb.ft lbf.ft|Q|1.3558179483314|lb⋅ft|pound-foot|pound-feet|Nm
PD/km2 /km2 /sqkm|D|1e-6|/km²|inhabitant per square kilometre|inhabitants per square kilometre|PD/sqmi
PD/sqmi /sqmi /mi2|D|3.861021585424458e-7|/sq mi|inhabitant per square mile|inhabitants per square mile|PD/km2
kg/m3|d|1|kg/m³|kilogram per cubic metre|kilograms per cubic metre|lb/cuyd
g/cm3|d|1000|g/cm³|gram per cubic centimetre|grams per cubic centimetre|lb/cuin
lb/cuyd|d|0.5932764212577829|lb/cu yd|pound per cubic yard|pounds per cubic yard|kg/m3
lb/cuin|d|27679.904710203|lb/cu in|pound per cubic inch|pounds per cubic inch|g/cm3
m3/s cumec|f|1|m³/s|cubic metre per second|cubic metres per second|cuft/s
cuft/s cufs cfs|f|0.028316846592|cu ft/s|cubic foot per second|cubic feet per second|m3/s
s|T|1|s|second|seconds|min
min|T|60|min|minute|minutes|s
h hr|T|3600|h|hour|hours|min
C °C degC|K|1|°C|degree Celsius|degrees Celsius|F
F °F degF|K|1|°F|degree Fahrenheit|degrees Fahrenheit|C
K|K|1|K|kelvin|kelvins|C
`

type measure struct {
	dimension                byte
	size                     float64
	symbol, singular, plural string
	to                       string
	code                     string
}

var measures = func() map[string]measure {
	m := map[string]measure{}
	for line := range strings.Lines(unitTable) {
		f := strings.Split(strings.TrimRight(line, "\n"), "|")
		if len(f) != 7 {
			continue
		}
		size, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			continue
		}
		for code := range strings.FieldsSeq(f[0]) {
			m[code] = measure{f[1][0], size, f[3], f[4], f[5], f[6], code}
		}
	}
	return m
}()

// rangeWords stand between the two values of {{convert|5|to|10|km}}.
var rangeWords = map[string]string{
	"to": " to ", "-": "–", "–": "–", "and": " and ", "x": " by ", "×": " × ", "by": " by ", "or": " or ", "to(-)": " to ", "&ndash;": "–", "+/-": " ± ", "±": " ± ", "xx": " × ", "&": " & ", "to about": " to about ", "to-": " to ",
}

// convert is {{convert|5|to|10|km|mi|abbr=on}}: the values with their unit, and
// converted ones after them in brackets.
func (p *preprocessor) convert(a arguments) { p.conversion(a, "") }

// cvt is convert with symbols in place of names.
func (p *preprocessor) cvt(a arguments) { p.conversion(a, "on") }

func (p *preprocessor) conversion(a arguments, abbr string) {
	in := a.positional()
	if len(in) < 2 {
		p.spend(strings.Join(in, ""))
		return
	}
	values := []string{in[0]}
	var links []string
	i := 1
	for i+1 < len(in) {
		word, ok := rangeWords[in[i]]
		if !ok || len(values) > 3 {
			break
		}
		links = append(links, word)
		values = append(values, in[i+1])
		i += 2
	}
	if i >= len(in) {
		p.spend(strings.Join(in, " "))
		return
	}
	from, known := measures[in[i]]
	// {{convert|5|ft|6|in|m}}
	if known && i+2 < len(in) && len(values) == 1 && isNumeric(in[i+1]) {
		if second, ok := measures[in[i+2]]; ok && second.dimension == from.dimension && second.size < from.size {
			p.compound(a, abbr, in, i, from, second)
			return
		}
	}
	to, precision, hasPrecision := "", 0, false
	rest := in[i+1:]
	if len(rest) > 0 {
		if n, err := strconv.Atoi(rest[0]); err == nil {
			precision, hasPrecision = n, true
		} else {
			to = rest[0]
		}
	}
	if len(rest) > 1 && !hasPrecision {
		if n, err := strconv.Atoi(rest[1]); err == nil {
			precision, hasPrecision = n, true
		}
	}
	numbers := make([]float64, len(values))
	shown := make([]string, len(values))
	for k, v := range values {
		n, err := parseQuantity(v)
		if err != nil || !known {
			// The value is what a reader needs most, even when its unit is unknown.
			p.spend(joinRange(values, links) + " " + in[i])
			return
		}
		numbers[k] = n
		shown[k] = group(strings.ReplaceAll(strings.ReplaceAll(v, ",", ""), "-", "−"), digitSeparators{",", ".", 4})
	}
	f := convertForm{
		abbr: a.get("abbr"), disp: a.get("disp"), us: a.get("sp") == "us", adj: a.get("adj") != "" && a.get("adj") != "off",
		adjective: strings.TrimPrefix(a.get("adj"), "mid"), links: links,
	}
	if f.abbr == "" {
		f.abbr = abbr
	}
	if f.disp == "number" {
		f.disp = "output number only"
	}
	left := f.quantity(shown, from, numbers[len(numbers)-1], f.abbr == "on" || f.abbr == "in", true)
	if to == "" {
		to = from.to
	}
	var right []string
	for code := range strings.FieldsSeq(strings.ReplaceAll(to, "+", " ")) {
		if r, ok := f.target(code, from, values, numbers, precision, hasPrecision, a.get("sigfig"), a.get("round")); ok {
			right = append(right, r)
		}
	}
	p.spend(f.arrange(left, strings.Join(right, "; "), a.get("order") == "flip"))
}

// convertForm is how a conversion is written.
type convertForm struct {
	abbr, disp string
	us, adj    bool
	adjective  string
	links      []string
}

func (f convertForm) arrange(left, right string, flip bool) string {
	if flip {
		left, right = right, left
	}
	switch {
	case right == "" || f.disp == "unit" || f.disp == "preunit":
		return left
	case left == "":
		return right
	}
	switch f.disp {
	case "out", "output only", "output number only":
		return right
	case "or":
		return left + " or " + right
	case "comma":
		return left + ", " + right
	case "/", "slash":
		return left + " / " + right
	case "sqbr":
		return left + " [" + right + "]"
	case "br":
		return left + "<br>" + right
	}
	return left + " (" + right + ")"
}

// quantity writes values with their unit.
func (f convertForm) quantity(values []string, m measure, last float64, short, input bool) string {
	s := joinRange(values, f.links)
	if f.abbr == "values" {
		return s
	}
	if short || m.dimension == 'K' {
		if m.symbol[0] == '/' {
			return s + m.symbol
		}
		return s + " " + m.symbol
	}
	name := m.plural
	if f.adj && input {
		return s + "-" + f.spell(m.singular)
	}
	if math.Abs(last) == 1 && len(values) == 1 {
		name = m.singular
	}
	return s + " " + f.spell(name)
}

func (f convertForm) spell(name string) string {
	if f.us {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "metre", "meter"), "litre", "liter")
	}
	return name
}

func joinRange(values, links []string) string {
	s := values[0]
	for k, v := range values[1:] {
		s += links[k] + v
	}
	return s
}

// target converts to one unit; ok is false when there is no such unit.
func (f convertForm) target(code string, from measure, values []string, numbers []float64, precision int, hasPrecision bool, sigfig, round string) (string, bool) {
	short := f.abbr != "off" && f.abbr != "in"
	if code == "ftin" {
		if from.dimension != 'L' {
			return "", false
		}
		if len(numbers) == 1 && numbers[0]*from.size < 3 && decimals(values[0]) > 0 || len(numbers) == 1 && from.code == "cm" {
			inches := math.Round(numbers[0] * from.size / 0.0254)
			return formatQuantity(math.Trunc(inches/12), 0) + " ft " + formatQuantity(math.Mod(inches, 12), 0) + " in", true
		}
		code = "ft"
	}
	to, ok := measures[code]
	if !ok || to.dimension != from.dimension {
		return "", false
	}
	out := make([]string, len(numbers))
	last := 0.0
	for k, n := range numbers {
		v := convertValue(n, from, to)
		places := precision
		if !hasPrecision {
			places = defaultPrecision(values[k], n, v, from)
		}
		if sig, err := strconv.Atoi(sigfig); err == nil && v != 0 {
			places = sig - 1 - int(math.Floor(math.Log10(math.Abs(v))))
		}
		if step, err := strconv.Atoi(round); err == nil && step > 1 {
			v, places = math.Round(v/float64(step))*float64(step), 0
		}
		last = v
		out[k] = formatQuantity(v, places)
	}
	if f.disp == "output number only" || f.abbr == "values" {
		return joinRange(out, f.links), true
	}
	return f.quantity(out, to, last, short, false), true
}

func convertValue(v float64, from, to measure) float64 {
	if from.dimension != 'K' {
		return v * from.size / to.size
	}
	switch from.symbol {
	case "°F":
		v = (v - 32) / 1.8
	case "K":
		v -= 273.15
	}
	switch to.symbol {
	case "°F":
		return v*1.8 + 32
	case "K":
		return v + 273.15
	}
	return v
}

// defaultPrecision returns the decimals of a converted value: as exact as the
// given one, and two significant digits at least.
func defaultPrecision(given string, in, out float64, from measure) int {
	places := decimals(given)
	if places == 0 {
		digits := strings.TrimLeft(strings.ReplaceAll(given, ",", ""), "-−")
		places = -(len(digits) - len(strings.TrimRight(digits, "0")))
		if strings.Trim(digits, "0") == "" {
			places = 0
		}
	}
	if strings.ContainsAny(given, "/+") && places < 1 {
		places = 1
	}
	if from.dimension == 'K' {
		return max(places, 0)
	}
	if in == 0 || out == 0 {
		return max(places, 0)
	}
	places -= int(math.Floor(math.Log10(math.Abs(out/in)) + 0.69897))
	return max(places, 1-int(math.Floor(math.Log10(math.Abs(out)))))
}

func decimals(s string) int {
	if at := strings.IndexByte(s, '.'); at >= 0 {
		return len(s) - at - 1
	}
	return 0
}

// parseQuantity reads "1,234.5", "-3", "1/2", "3+1/2" and "3-1/2".
func parseQuantity(s string) (float64, error) {
	s = strings.ReplaceAll(strings.ReplaceAll(s, ",", ""), "−", "-")
	if whole, fraction, found := strings.Cut(s, "//"); found {
		s = whole + "/" + fraction
	}
	num, den, found := strings.Cut(s, "/")
	if !found {
		return strconv.ParseFloat(s, 64)
	}
	d, err := strconv.ParseFloat(den, 64)
	if err != nil || d == 0 {
		return 0, errExpression
	}
	whole := 0.0
	if at := strings.LastIndexAny(num, "+-"); at > 0 {
		if whole, err = strconv.ParseFloat(num[:at], 64); err != nil {
			return 0, err
		}
		num = num[at+1:]
	}
	n, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return 0, err
	}
	return whole + n/d, nil
}

func formatQuantity(v float64, places int) string {
	v = roundTo(v, max(-12, min(12, places)))
	s := strconv.FormatFloat(v, 'f', max(0, min(places, 12)), 64)
	return strings.Replace(group(s, digitSeparators{",", ".", 4}), "-", "−", 1)
}

// compound writes {{convert|5|ft|6|in|m}}.
func (p *preprocessor) compound(a arguments, abbr string, in []string, i int, from, second measure) {
	n, err := parseQuantity(in[0])
	m, err2 := parseQuantity(in[i+1])
	left := in[0] + " " + from.symbol + " " + in[i+1] + " " + second.symbol
	if a.get("abbr") != "on" && abbr != "on" {
		left = in[0] + " " + from.plural + " " + in[i+1] + " " + second.plural
	}
	if err != nil || err2 != nil {
		p.spend(left)
		return
	}
	code := from.to
	if i+3 < len(in) && !isNumeric(in[i+3]) {
		code = in[i+3]
	}
	to, ok := measures[code]
	if !ok || to.dimension != from.dimension {
		p.spend(left)
		return
	}
	base := n*from.size + m*second.size
	v := base / to.size
	f := convertForm{disp: a.get("disp")}
	places := defaultPrecision(in[i+1], base/second.size, v, second) + 1
	if i+4 < len(in) {
		if k, err := strconv.Atoi(in[i+4]); err == nil {
			places = k
		}
	}
	p.spend(f.arrange(left, formatQuantity(v, places)+" "+to.symbol, a.get("order") == "flip"))
}
