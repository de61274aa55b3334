// Package pipelines runs whole experiments: one YAML file says what is ingested,
// deduplicated, tokenised, laid down and trained, and only what is not on disk
// yet is done.
package pipelines
