// Package streaming compares the stream of batches with the loaders and collators
// that people use (build tag interop).
package streaming
