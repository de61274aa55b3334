package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileAppearsOnlyOnCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "a.bin")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("before Commit, stat says %v", err)
	}
	f, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if f.Path != "a.bin" || f.Bytes != 5 {
		t.Errorf("Commit returned %+v", f)
	}
	if err := VerifyFile(filepath.Dir(path), f); err != nil {
		t.Error(err)
	}
	if _, err := w.Commit(); err == nil {
		t.Error("a second Commit succeeded")
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("after Abort the directory holds %v (%v)", entries, err)
	}
}

func TestVerifyNamesTheDamagedFile(t *testing.T) {
	dir := t.TempDir()
	m := &Manifest{Format: "test/1", Key: Key("a")}
	for _, name := range []string{"one", "two", "three"} {
		f, err := WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 100)))
		if err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, f)
	}
	if err := WriteManifest(dir, m); err != nil {
		t.Fatal(err)
	}
	back, ok := Done(dir, m.Key)
	if !ok {
		t.Fatal("a finished stage is not done")
	}
	if err := back.Verify(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "two")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[17] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if err := back.Verify(dir); !errors.As(err, &damaged) || damaged.Path != path {
		t.Errorf("after a flipped bit Verify says %v", err)
	}
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if _, ok := Done(dir, m.Key); ok {
		t.Error("a stage with a truncated file is done")
	}
}

func TestDescribeIsWhatVerifyAccepts(t *testing.T) {
	dir := t.TempDir()
	written, err := WriteFile(filepath.Join(dir, "a"), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Describe(dir, "a"); err != nil || got != written {
		t.Errorf("Describe returned %+v, %v; want %+v", got, err, written)
	}
	if _, err := Describe(dir, "absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file gives %v", err)
	}
}

func TestManifestCannotPointOutside(t *testing.T) {
	for _, bad := range []string{"../x", "/etc/passwd", "a/../../x", `..\x`} {
		dir := t.TempDir()
		m := &Manifest{Files: []File{{Path: bad}}}
		if err := WriteManifest(dir, m); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir); err == nil {
			t.Errorf("a manifest naming %q was accepted", bad)
		}
	}
}

func TestSweepRemovesWhatKilledStagesLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"part-0.parquet", "part-1.parquet", "part-1.parquet" + tempMark + "123"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir, func(name string) bool { return name == "part-0.parquet" }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "part-0.parquet" {
		t.Errorf("left: %v (%v)", entries, err)
	}
	if err := Sweep(filepath.Join(dir, "absent"), nil); err != nil {
		t.Error(err)
	}
}

func TestCreateOnAFullDevice(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Log("no /dev/full here; the write error is covered on Linux")
		return
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	w.f.Close()
	os.Remove(w.f.Name())
	w.f = f
	w.buf.Reset(f)
	defer w.Abort()
	_, werr := w.Write(make([]byte, 1<<20))
	_, cerr := w.Commit()
	if err := errors.Join(werr, cerr); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a full device gives %v", err)
	}
}
