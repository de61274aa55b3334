package model

import (
	"fmt"
	"math"

	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/model/tensor"
)

// Param is one trainable tensor.
type Param struct {
	// Name is the tensor's name in a Hugging Face checkpoint of BertForPreTraining,
	// RobertaForMaskedLM or GPT2LMHeadModel, and Shape its shape there.
	Name  string
	Shape []int
	// Data holds the values, row-major, and Grad the gradient that Gradients adds
	// to.
	Data, Grad []float32
	// Decay says that weight decay applies: not to biases and not to LayerNorm.
	Decay bool

	kind  paramKind
	place **tensor.Tensor
}

// paramKind says how a parameter begins.
type paramKind uint8

const (
	// bias begins at zero and gain at one; neither decays.
	bias paramKind = iota
	gain
	// weight begins normally distributed; residual is a weight whose output is added
	// to the trunk, which GPT-2 begins smaller.
	weight
	residual
)

// layer holds the parameters of one layer of the trunk.
type layer struct {
	// qkv holds GPT-2's query, key and value in one; the others have them apart.
	qkv                         tensor.Layer
	query, key, value, attended tensor.Layer
	attendedNorm                normParams
	inner, outer                tensor.Layer
	outerNorm                   normParams
}

type normParams struct{ gain, bias *tensor.Tensor }

// weights holds the model's parameters by their place in the trunk and the heads.
// What a family does not have is nil.
type weights struct {
	word, position, segment *tensor.Tensor
	embedNorm               normParams
	layers                  []layer
	lastNorm                normParams
	pooler                  tensor.Layer
	decoderBias             *tensor.Tensor
	transform               tensor.Layer
	transformNorm           normParams
	pair                    tensor.Layer
}

// builder lists the parameters in their fixed order.
type builder struct{ params []*Param }

func (b *builder) add(place **tensor.Tensor, kind paramKind, name string, shape ...int) {
	b.params = append(b.params, &Param{
		Name: name, Shape: shape, Decay: kind == weight || kind == residual, kind: kind, place: place,
	})
}

func (b *builder) linear(l *tensor.Layer, name string, out, in int) {
	b.add(&l.Weight, weight, name+".weight", out, in)
	b.add(&l.Bias, bias, name+".bias", out)
}

// inputMajor adds a layer whose weight is stored transposed.
func (b *builder) inputMajor(l *tensor.Layer, kind paramKind, name string, out, in int) {
	l.InputMajor = true
	b.add(&l.Weight, kind, name+".weight", in, out)
	b.add(&l.Bias, bias, name+".bias", out)
}

func (b *builder) norm(n *normParams, name string, width int) {
	b.add(&n.gain, gain, name+".weight", width)
	b.add(&n.bias, bias, name+".bias", width)
}

// spread lays the listed parameters out in two blocks of memory, values and
// gradients, each parameter on a cache line of its own, and puts them in their
// places.
func (b *builder) spread() (values, grads []float32) {
	const line = 16
	total := 0
	for _, p := range b.params {
		total += (p.size() + line - 1) / line * line
	}
	values, grads = make([]float32, total), make([]float32, total)
	at := 0
	for _, p := range b.params {
		n := p.size()
		p.Data, p.Grad = values[at:at+n:at+n], grads[at:at+n:at+n]
		at += (n + line - 1) / line * line
		rows, cols := 1, n
		if len(p.Shape) == 2 {
			rows, cols = p.Shape[0], p.Shape[1]
		}
		*p.place = tensor.Parameter(rows, cols, p.Data, p.Grad)
	}
	return values, grads
}

func (p *Param) size() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// families lists, by model type, the parameters of the architectures in the order
// in which Hugging Face lists them. A tied decoder's weight is the word embedding
// and not listed again.
var families = map[string]func(w *weights, b *builder, c Config){
	"bert": bertParams, "roberta": robertaParams, "gpt2": gpt2Params,
}

// list returns the parameters of a configuration and their places, which have no
// memory yet.
func list(c Config) (*builder, *weights) {
	b, w := &builder{}, &weights{layers: make([]layer, c.NumHiddenLayers)}
	families[c.ModelType](w, b, c)
	return b, w
}

// Shapes describes the parameters a model of a valid configuration has, in their
// order, without memory for their values.
func Shapes(c Config) []*Param {
	b, _ := list(c)
	return b.params
}

// Size returns the number of the parameter's elements.
func (p *Param) Size() int { return p.size() }

// bertParams lists those of BertForPreTraining.
func bertParams(w *weights, b *builder, c Config) {
	h := c.HiddenSize
	encoderParams(w, b, c, "bert.")
	b.linear(&w.pooler, "bert.pooler.dense", h, h)
	b.add(&w.decoderBias, bias, "cls.predictions.bias", c.VocabSize)
	b.linear(&w.transform, "cls.predictions.transform.dense", h, h)
	b.norm(&w.transformNorm, "cls.predictions.transform.LayerNorm", h)
	b.linear(&w.pair, "cls.seq_relationship", 2, h)
}

// robertaParams lists those of RobertaForMaskedLM.
func robertaParams(w *weights, b *builder, c Config) {
	h := c.HiddenSize
	encoderParams(w, b, c, "roberta.")
	b.add(&w.decoderBias, bias, "lm_head.bias", c.VocabSize)
	b.linear(&w.transform, "lm_head.dense", h, h)
	b.norm(&w.transformNorm, "lm_head.layer_norm", h)
}

// encoderParams lists the embeddings and layers BERT and RoBERTa share.
func encoderParams(w *weights, b *builder, c Config, prefix string) {
	h, f := c.HiddenSize, c.IntermediateSize
	b.add(&w.word, weight, prefix+"embeddings.word_embeddings.weight", c.VocabSize, h)
	b.add(&w.position, weight, prefix+"embeddings.position_embeddings.weight", c.MaxPositionEmbeddings, h)
	b.add(&w.segment, weight, prefix+"embeddings.token_type_embeddings.weight", c.TypeVocabSize, h)
	b.norm(&w.embedNorm, prefix+"embeddings.LayerNorm", h)
	for i := range w.layers {
		p, l := fmt.Sprintf("%sencoder.layer.%d.", prefix, i), &w.layers[i]
		b.linear(&l.query, p+"attention.self.query", h, h)
		b.linear(&l.key, p+"attention.self.key", h, h)
		b.linear(&l.value, p+"attention.self.value", h, h)
		b.linear(&l.attended, p+"attention.output.dense", h, h)
		b.norm(&l.attendedNorm, p+"attention.output.LayerNorm", h)
		b.linear(&l.inner, p+"intermediate.dense", f, h)
		b.linear(&l.outer, p+"output.dense", h, f)
		b.norm(&l.outerNorm, p+"output.LayerNorm", h)
	}
}

// gpt2Params lists those of GPT2LMHeadModel. attendedNorm is the norm before the
// feed-forward sub-layer and outerNorm the one before attention.
func gpt2Params(w *weights, b *builder, c Config) {
	h, f := c.HiddenSize, c.IntermediateSize
	b.add(&w.word, weight, "transformer.wte.weight", c.VocabSize, h)
	b.add(&w.position, weight, "transformer.wpe.weight", c.MaxPositionEmbeddings, h)
	for i := range w.layers {
		p, l := fmt.Sprintf("transformer.h.%d.", i), &w.layers[i]
		b.norm(&l.outerNorm, p+"ln_1", h)
		b.inputMajor(&l.qkv, weight, p+"attn.c_attn", 3*h, h)
		b.inputMajor(&l.attended, residual, p+"attn.c_proj", h, h)
		b.norm(&l.attendedNorm, p+"ln_2", h)
		b.inputMajor(&l.inner, weight, p+"mlp.c_fc", f, h)
		b.inputMajor(&l.outer, residual, p+"mlp.c_proj", h, f)
	}
	b.norm(&w.lastNorm, "transformer.ln_f", h)
}

// initialise sets the parameters to their values at step 0: biases zero, gains
// one, weights from a normal distribution, cut at two deviations for BERT (Devlin
// et al. 2019) and whole for the others, with GPT-2's residual weights smaller by
// the root of their number (Radford et al. 2019, section 2.3). A weight's numbers
// depend on the seed and its name only.
func initialise(pool *kernel.Pool, params []*Param, seed uint64, c Config) {
	const chunk = 1 << 14
	// Phi(-2) and the probability between two deviations on either side.
	tail := 0.0
	if c.ModelType == "bert" {
		tail = 0.5 * math.Erfc(math.Sqrt2)
	}
	for _, p := range params {
		deviation := c.InitializerRange
		switch p.kind {
		case bias:
			clear(p.Data)
			continue
		case gain:
			for i := range p.Data {
				p.Data[i] = 1
			}
			continue
		case residual:
			deviation /= math.Sqrt(2 * float64(c.NumHiddenLayers))
		}
		key := counter.NewKey(seed, "model/initialise/"+p.Name)
		pool.For((len(p.Data)+chunk-1)/chunk, func(n int) {
			for i := n * chunk; i < min(len(p.Data), (n+1)*chunk); i++ {
				// The middle of one of 2^53 intervals, never 0 or 1.
				u := tail + (1-2*tail)*(key.Float64(uint64(i))+0x1p-54)
				p.Data[i] = float32(deviation * math.Sqrt2 * math.Erfinv(2*u-1))
			}
		})
	}
}
