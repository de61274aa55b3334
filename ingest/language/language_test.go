package language

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// modelSum is that of the model that interop/language measures.
const modelSum = "549fb3dd55f25b37e252f2a7bd24adc7764e75f666b39b4ee86cd0db2bad153b"

func TestModel(t *testing.T) {
	sum := sha256.Sum256(modelFile)
	if got := hex.EncodeToString(sum[:]); got != modelSum {
		t.Errorf("the model's SHA-256 is %s, not %s: measure it and note its sum", got, modelSum)
	}
	m, err := parse(modelFile)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(of(m).Codes()); n < 100 {
		t.Errorf("%d languages, fewer than 100", n)
	}
	for i, code := range m.codes {
		if m.lengths[i] <= 0 || m.lengths[i] > MaxGram || code == "" {
			t.Errorf("class %d, %q, matches n-grams of %g symbols", i, code, m.lengths[i])
		}
	}
}

// texts are sentences written for this test.
var texts = map[string]string{
	"en": "The old bridge over the river was closed last winter because nobody could say whether its pillars would hold.",
	"de": "Die alte Brücke über den Fluss wurde im letzten Winter gesperrt, weil niemand sagen konnte, ob ihre Pfeiler noch halten.",
	"fr": "Le vieux pont sur la rivière a été fermé l'hiver dernier, car personne ne savait si ses piliers tiendraient encore.",
	"es": "El viejo puente sobre el río se cerró el invierno pasado porque nadie sabía si sus pilares iban a aguantar.",
	"pt": "A velha ponte sobre o rio foi fechada no inverno passado porque ninguém sabia se os seus pilares ainda aguentariam.",
	"it": "Il vecchio ponte sul fiume è stato chiuso lo scorso inverno perché nessuno sapeva se i suoi piloni avrebbero retto.",
	"nl": "De oude brug over de rivier werd vorige winter gesloten omdat niemand kon zeggen of de pijlers het nog zouden houden.",
	"sv": "Den gamla bron över floden stängdes förra vintern eftersom ingen kunde säga om dess pelare fortfarande skulle hålla.",
	"pl": "Stary most na rzece został zamknięty zeszłej zimy, ponieważ nikt nie wiedział, czy jego filary jeszcze wytrzymają.",
	"ru": "Старый мост через реку закрыли прошлой зимой, потому что никто не мог сказать, выдержат ли его опоры.",
	"uk": "Старий міст через річку закрили минулої зими, бо ніхто не міг сказати, чи витримають його опори.",
	"tr": "Nehrin üzerindeki eski köprü, ayaklarının dayanıp dayanmayacağını kimse bilmediği için geçen kış kapatıldı.",
	"fi": "Joen yli kulkeva vanha silta suljettiin viime talvena, koska kukaan ei osannut sanoa, kestävätkö sen pilarit.",
	"el": "Η παλιά γέφυρα πάνω από το ποτάμι έκλεισε τον περασμένο χειμώνα γιατί κανείς δεν ήξερε αν θα αντέξουν οι κολόνες της.",
	"zh": "去年冬天，河上的旧桥被关闭了，因为没有人知道它的桥墩是否还能支撑。",
	"ja": "川にかかる古い橋は、橋脚が持ちこたえるかどうか誰にも分からなかったため、去年の冬に閉鎖された。",
	"ko": "강 위의 오래된 다리는 기둥이 버틸 수 있을지 아무도 알 수 없어서 지난겨울에 폐쇄되었다.",
	"th": "สะพานเก่าข้ามแม่น้ำถูกปิดเมื่อฤดูหนาวที่แล้วเพราะไม่มีใครรู้ว่าเสาจะรับไหวหรือไม่",
}

func identifier(tb testing.TB) *Identifier {
	tb.Helper()
	d, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestIdentify(t *testing.T) {
	d := identifier(t)
	for code, text := range texts {
		if r := d.Identify(text); r.Code != code || r.Score < 0.65 || r.Share != 1 {
			t.Errorf("%s is found to be %+v: %s", code, r, text)
		}
	}
	for _, text := range []string{"", " \n\n ", "12 345 — 67%!", "\xff\xfe", "☃☃☃"} {
		if r := d.Identify(text); r != (Result{}) {
			t.Errorf("%q, without letters, is found to be %+v", text, r)
		}
	}
	noise := d.Identify(strings.Repeat("xqzvkj wgtrbx qpxkzz jvvqkx zzkwqp ", 10))
	if noise.Score > 0.3 {
		t.Errorf("noise is found to be %+v", noise)
	}
}

// TestShare checks the shares of a document in two languages.
func TestShare(t *testing.T) {
	d := identifier(t)
	english := strings.TrimSpace(strings.Repeat(texts["en"]+" ", 3))
	r := d.Identify(english + "\n\n" + texts["ru"])
	a, b := letters(english), letters(texts["ru"])
	want := float64(a) / float64(a+b)
	if r.Code != "en" || math.Abs(r.Share-want) > 1e-9 || r.Score > want {
		t.Errorf("a document of %d letters in English, %d in Russian is found to be %+v", a, b, r)
	}
}

func letters(s string) (n int) {
	for _, r := range s {
		if Fold(r) != 0 {
			n++
		}
	}
	return n
}

// TestSame checks that an answer depends on nothing but the text.
func TestSame(t *testing.T) {
	used := identifier(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("aeiounrst йцукен\n")))).Draw(t, "text")
		a := used.Identify(text)
		fresh, err := New()
		if err != nil {
			t.Fatal(err)
		}
		if b := fresh.Identify(text); a != b {
			t.Errorf("%+v, then %+v", a, b)
		}
	})
}

// TestLong checks that text without spaces or lines is cut into pieces.
func TestLong(t *testing.T) {
	d := identifier(t)
	r := d.Identify(strings.Repeat("桥墩", 1<<20))
	if r.Code != "zh" || r.Share != 1 {
		t.Errorf("%+v in %d pieces", r, len(d.pieces))
	}
}

func FuzzIdentify(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Add("\xff\xfe a\x00b \u0130İ \U0001f600 \U00020000")
	d, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := d.Identify(text)
		if !(r.Score >= 0 && r.Score <= 1 && r.Share >= 0 && r.Share <= 1) || r.Code == "" && r != (Result{}) {
			t.Errorf("%q: %+v", text, r)
		}
		if again := d.Identify(text); again != r {
			t.Errorf("%q: %+v, then %+v", text, r, again)
		}
		if r.Code != "" && utf8.ValidString(text) && letters(text) == 0 {
			t.Errorf("%q has no letters and is found to be %+v", text, r)
		}
	})
}

// FuzzParse checks that a damaged model is an error.
func FuzzParse(f *testing.F) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	defer z.Close()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(Magic + "\x01\x02en\x80\x04\x02\x61\x01\x02\x03\x01\x00\x10\x01\x01\x00\x20"))
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(e.EncodeAll(b, nil))
		if err != nil {
			return
		}
		r := of(m).Identify("a b\nab")
		if math.IsNaN(r.Score) || r.Score < 0 || r.Score > 1 || r.Share < 0 || r.Share > 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestTruncated(t *testing.T) {
	if _, err := parse(modelFile[:len(modelFile)/2]); err == nil {
		t.Error("half of a model is read")
	}
	if _, err := parse(nil); err == nil {
		t.Error("an empty model is read")
	}
}

func BenchmarkIdentify(b *testing.B) {
	d := identifier(b)
	text := strings.Repeat(texts["en"]+" "+texts["de"]+"\n\n", 40)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		d.Identify(text)
	}
}
