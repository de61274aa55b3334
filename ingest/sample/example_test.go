package sample_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tributary-ml/tributary/ingest/sample"
)

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "sample")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	r, err := sample.Write(context.Background(), dir, sample.Options{Seed: 1, Scale: 0.05})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Articles, "articles,", r.Books, "books,", r.Records, "crawled pages")
	// Output: 55 articles, 5 books, 63 crawled pages
}
