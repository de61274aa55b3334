package tokenize

import (
	"context"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// unigramSpecials are ALBERT's control tokens, in the order of their ids.
var unigramSpecials = []string{"<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"}

// The constants of SentencePiece's trainer.
const (
	maxPieceChars = 16
	// shrinking is the share of the pieces that one pruning keeps, and surplus how
	// many more than asked for are kept until the end.
	shrinking = 0.75
	surplus   = 1.1
	subSteps  = 2
	// leastExpected is the expected count below which a piece is given up.
	leastExpected = 0.5
)

// TrainUnigram trains a tokenizer like ALBERT's on texts: a unigram language model
// over pieces (Kudo, ACL 2018), as SentencePiece trains it. The frequent substrings
// of words are the first pieces; then their probabilities are found by expectation
// maximisation, and the quarter whose loss changes the likelihood of the words the
// least is dropped, in turns, until the vocabulary has its size. The result depends
// on the texts and the options as that of TrainWordPiece does.
func TrainUnigram(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	t, err := trainUnigram(ctx, texts, o)
	if err != nil {
		return nil, fmt.Errorf("training a Unigram tokenizer: %w", err)
	}
	return t, nil
}

func trainUnigram(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	specials := o.Specials
	if len(specials) == 0 {
		specials = unigramSpecials
	}
	unk := int32(slices.Index(specials, "<unk>"))
	if unk < 0 {
		return nil, fmt.Errorf("the control tokens %q lack the unknown token <unk>", specials)
	}
	if o.VocabSize <= len(specials)+1 {
		return nil, fmt.Errorf("a vocabulary of %d has no room beside the %d control tokens", o.VocabSize, len(specials))
	}
	space := &metaspace{"Metaspace", mark, "always", true}
	t := &Tokenizer{normalizer: unigramNormalizer(o.Lowercase), pre: space, decoder: space, config: tokenizerConfig{class: "PreTrainedTokenizerFast", maxLength: 512}}
	c := &counter{jobs: o.Jobs, memory: o.MemoryBytes, meter: o.Meter, words: spacedCounter(t.normalizer, t.pre)}
	words, err := c.count(ctx, texts)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, ErrNoWords
	}
	sayDropped(o, c.dropped, len(words))
	u := &unigramTrainer{o: o, want: o.VocabSize - len(specials)}
	pieces, err := u.train(ctx, words)
	if err != nil {
		return nil, err
	}
	all := make([]scoredPiece, 0, len(specials)+len(pieces))
	for id, s := range specials {
		all = append(all, scoredPiece{s, 0})
		t.added = append(t.added, AddedToken{ID: int32(id), Content: s, Special: true, LStrip: s == "[MASK]"})
	}
	for _, p := range pieces {
		if slices.Contains(specials, p.piece) {
			continue
		}
		all = append(all, p)
	}
	sayShort(o, len(all))
	if t.model, err = newUnigram(all, unk, false); err != nil {
		return nil, err
	}
	cls, sep := int32(slices.Index(specials, "[CLS]")), int32(slices.Index(specials, "[SEP]"))
	if cls >= 0 && sep >= 0 {
		t.post = bertTemplate("[CLS]", "[SEP]", cls, sep)
	}
	return t, t.finish()
}

// unigramNormalizer does what SentencePiece's nmt_nfkc rules do, by known steps.
func unigramNormalizer(lowercase bool) normalizer {
	steps := []normalizer{&nmt{"Nmt"}}
	if lowercase {
		steps = append(steps, &unicodeForm{"NFKD"}, &accentStripper{"StripAccents"}, &lowercaser{"Lowercase"}, &unicodeForm{"NFC"})
	} else {
		steps = append(steps, &unicodeForm{"NFKC"})
	}
	scan, _ := newScanner(" {2,}") // a pattern that it knows
	return &normalizerChain{"Sequence", append(steps, &stripper{"Strip", true, true},
		&replacer{"Replace", pattern{regexp: " {2,}", scan: scan}, " "})}
}

// spacedCounter finds the words of a spaced chain.
func spacedCounter(n normalizer, pre preTokenizer) func() func(string, func([]byte)) {
	s := newSpaced(n, pre, &unigram{})
	return func() func(string, func([]byte)) {
		e := &Encoder{t: &Tokenizer{spaced: s}}
		return func(text string, yield func([]byte)) {
			e.spacedRun.yield = func(word []byte) {
				if len(word) <= longestTrained {
					yield(word)
				}
			}
			e.spacedWords(text, 0)
		}
	}
}

// unigramTrainer learns pieces from counted words.
type unigramTrainer struct {
	o    TrainOptions
	want int
	// words are of the alphabet's characters only; a word with others is cut there.
	words    []wordCount
	alphabet map[rune]int64
	pieces   []scoredPiece
	// likelihood is that of the words by the pieces of the last step, in nats a word.
	likelihood float64
}

func (u *unigramTrainer) train(ctx context.Context, words []wordCount) ([]scoredPiece, error) {
	u.chooseAlphabet(words)
	if len(u.alphabet) >= u.want {
		return nil, fmt.Errorf("a vocabulary of %d pieces has no room for an alphabet of %d characters", u.want, len(u.alphabet))
	}
	desired := int(float64(u.want) * surplus)
	seeds := min(1_000_000, max(20*u.want, 10_000))
	u.o.Meter.Begin("collecting substrings", "words", int64(len(u.words)), 0)
	if err := u.seed(ctx, seeds); err != nil {
		return nil, err
	}
	rounds := 1
	for n := float64(len(u.pieces)); n > float64(desired); n *= shrinking {
		rounds++
	}
	u.o.Meter.Begin("fitting and pruning pieces", "rounds", int64(rounds), 0)
	for {
		for range subSteps {
			if err := u.maximise(ctx); err != nil {
				return nil, err
			}
		}
		u.o.Meter.Add(1)
		u.o.Log.Debug("fitted pieces", "pieces", len(u.pieces), "nats_a_word", u.likelihood)
		if len(u.pieces) <= desired {
			break
		}
		if err := u.prune(ctx, desired); err != nil {
			return nil, err
		}
	}
	return u.finalize(), nil
}

// chooseAlphabet keeps the most frequent characters and cuts the words at others.
func (u *unigramTrainer) chooseAlphabet(words []wordCount) {
	seen := map[rune]int64{}
	for _, w := range words {
		for _, c := range w.word {
			seen[c] += w.count
		}
	}
	letters := make([]rune, 0, len(seen))
	for c := range seen {
		letters = append(letters, c)
	}
	slices.SortFunc(letters, func(a, b rune) int {
		switch {
		case seen[a] > seen[b]:
			return -1
		case seen[a] < seen[b]:
			return 1
		}
		return int(a - b)
	})
	letters = letters[:min(len(letters), u.o.Alphabet, math.MaxUint16-1)]
	u.alphabet = make(map[rune]int64, len(letters))
	for _, c := range letters {
		u.alphabet[c] = seen[c]
	}
	u.words = make([]wordCount, 0, len(words))
	for _, w := range words {
		start := 0
		for i, c := range w.word {
			if _, ok := u.alphabet[c]; ok {
				continue
			}
			if start < i {
				u.words = append(u.words, wordCount{w.word[start:i], w.count})
			}
			start = i + utf8.RuneLen(c)
		}
		if start < len(w.word) {
			u.words = append(u.words, wordCount{w.word[start:], w.count})
		}
	}
}

// fixed is how expected counts are added up: as integers, so that the sum does not
// depend on the order.
const fixed = 1 << 20

// eachWord runs f on all words in parallel, with the number of a worker.
func (u *unigramTrainer) eachWord(ctx context.Context, begin func(jobs int), f func(worker int, w wordCount)) error {
	jobs := u.o.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	begin(jobs)
	const batch = 1024
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range jobs {
		wg.Go(func() {
			for ctx.Err() == nil {
				at := int(next.Add(batch)) - batch
				if at >= len(u.words) {
					return
				}
				for _, w := range u.words[at:min(at+batch, len(u.words))] {
					f(worker, w)
				}
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// model makes the search structure of the pieces as they are.
func (u *unigramTrainer) model() (*unigram, error) {
	m := &unigram{unk: -1, minScore: math.Inf(1), scores: make([]float64, len(u.pieces))}
	keys, ids := make([]string, len(u.pieces)), make([]int32, len(u.pieces))
	for i, p := range u.pieces {
		keys[i], ids[i], m.scores[i] = p.piece, int32(i), p.score
		m.minScore = min(m.minScore, p.score)
	}
	var err error
	m.trie, err = newTrie(keys, ids)
	m.placed = m.scores
	return m, err
}

// maximise is one step of expectation maximisation: the expected count of each
// piece by the probabilities so far, and from these new ones. The logarithms are
// replaced by digamma functions, which act as a sparse prior (Liang, Jordan and
// Klein, "The Infinite PCFG using Hierarchical Dirichlet Processes", 2007).
func (u *unigramTrainer) maximise(ctx context.Context) error {
	m, err := u.model()
	if err != nil {
		return err
	}
	weights := make([]float64, len(u.pieces))
	for i, p := range u.pieces {
		weights[i] = math.Exp(p.score + charBonus*float64(utf8.RuneCountInString(p.piece)))
	}
	var sums [][]int64
	var likelihoods []int64
	var scratch []expectation
	err = u.eachWord(ctx, func(jobs int) {
		sums, likelihoods, scratch = make([][]int64, jobs), make([]int64, jobs), make([]expectation, jobs)
		for i := range sums {
			sums[i] = make([]int64, len(u.pieces))
		}
	}, func(worker int, w wordCount) {
		likelihoods[worker] += scratch[worker].add(sums[worker], m, weights, w)
	})
	if err != nil {
		return err
	}
	expected, total := sums[0], likelihoods[0]
	for i := 1; i < len(sums); i++ {
		total += likelihoods[i]
		for k, v := range sums[i] {
			expected[k] += v
		}
	}
	words := int64(0)
	for _, w := range u.words {
		words += w.count
	}
	u.likelihood = float64(total) / likelihoodUnit / float64(words)
	kept := u.pieces[:0]
	sum := 0.0
	for i, p := range u.pieces {
		count := float64(expected[i]) / fixed
		if count < leastExpected && utf8.RuneCountInString(p.piece) > 1 {
			continue
		}
		// A character stays, however rare: without it a word has no pieces.
		p.score = max(count, leastExpected)
		sum += p.score
		kept = append(kept, p)
	}
	log := digamma(sum)
	for i := range kept {
		kept[i].score = digamma(kept[i].score) - log
	}
	u.pieces = kept
	return nil
}

// prune drops the pieces without which the words are about as likely.
func (u *unigramTrainer) prune(ctx context.Context, desired int) error {
	m, err := u.model()
	if err != nil {
		return err
	}
	var sums [][]int64
	var scratch []lattice
	err = u.eachWord(ctx, func(jobs int) {
		sums, scratch = make([][]int64, jobs), make([]lattice, jobs)
		for i := range sums {
			sums[i] = make([]int64, len(u.pieces))
		}
	}, func(worker int, w wordCount) {
		l := &scratch[worker]
		m.best(l, []byte(w.word))
		for _, end := range l.ends {
			sums[worker][l.nodes[end].value] += w.count
		}
	})
	if err != nil {
		return err
	}
	freq, total := sums[0], 0.0
	for i := 1; i < len(sums); i++ {
		for k, v := range sums[i] {
			freq[k] += v
		}
	}
	for _, f := range freq {
		total += float64(f)
	}
	type candidate struct {
		loss float64
		id   int32
	}
	var candidates []candidate
	var kept []int32
	l, without := &scratch[0], *m
	without.placed = slices.Clone(m.placed)
	for i, p := range u.pieces {
		text := []byte(p.piece)
		if utf8.RuneCount(text) == 1 {
			kept = append(kept, int32(i))
			continue
		}
		if freq[i] == 0 {
			continue // no word needs it
		}
		m.best(l, text)
		if len(l.ends) > 1 {
			continue // not even the piece itself is best written with it
		}
		without.placed[i] = math.Inf(-1)
		without.best(l, text)
		without.placed[i] = m.placed[i]
		f := float64(freq[i])
		logAlternative := math.Log(total + f*float64(len(l.ends)-1))
		alternative := 0.0
		for _, end := range l.ends {
			alternative += math.Log(float64(freq[l.nodes[end].value])+f) - logAlternative
		}
		candidates = append(candidates, candidate{f * (math.Log(f) - math.Log(total) - alternative), int32(i)})
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		switch {
		case a.loss > b.loss:
			return -1
		case a.loss < b.loss:
			return 1
		}
		return int(a.id - b.id)
	})
	size := max(desired, int(shrinking*float64(len(u.pieces))))
	for _, c := range candidates[:max(0, min(len(candidates), size-len(kept)))] {
		kept = append(kept, c.id)
	}
	slices.Sort(kept)
	pieces := make([]scoredPiece, len(kept))
	for i, id := range kept {
		pieces[i] = u.pieces[id]
	}
	u.pieces = pieces
	return nil
}

// finalize takes the alphabet and the best of the other pieces, best first.
func (u *unigramTrainer) finalize() []scoredPiece {
	byScore := func(a, b scoredPiece) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		case a.piece < b.piece:
			return -1
		}
		return 1
	}
	var letters, others []scoredPiece
	for _, p := range u.pieces {
		if utf8.RuneCountInString(p.piece) == 1 {
			letters = append(letters, p)
		} else {
			others = append(others, p)
		}
	}
	slices.SortFunc(others, byScore)
	all := append(letters, others[:max(0, min(len(others), u.want-len(letters)))]...)
	slices.SortFunc(all, byScore)
	return all
}

// digamma is the derivative of the logarithm of the gamma function, by its
// asymptotic series (Abramowitz and Stegun, 6.3.18).
func digamma(x float64) float64 {
	result := 0.0
	for ; x < 7; x++ {
		result -= 1 / x
	}
	x -= 0.5
	y := 1 / x
	y2 := y * y
	return result + math.Log(x) + y2*(1.0/24-y2*(7.0/960-y2*(31.0/8064-y2*127.0/30720)))
}
