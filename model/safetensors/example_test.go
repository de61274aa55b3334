package safetensors_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/model/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "tensors")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	w, err := safetensors.Create(path, map[string]string{"format": "pt"}, []safetensors.Tensor{
		{Name: "pooler.dense.bias", DType: safetensors.F32, Shape: []int64{3}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort()
	if err := w.Floats("pooler.dense.bias", []float32{1, 2, 3}); err != nil {
		log.Fatal(err)
	}
	if _, err := w.Commit(); err != nil {
		log.Fatal(err)
	}

	f, err := safetensors.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	bias := make([]float32, 3)
	if err := f.Floats("pooler.dense.bias", bias); err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Tensors()[0].Shape, bias)
	// Output: [3] [1 2 3]
}
