//go:build unix

package ingest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestDirectoriesThatMayNotBeRead(t *testing.T) {
	dir, err := os.MkdirTemp("", "locked")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, d := range []string{"in/open", "in/locked", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"in/open/a.txt", "in/locked/b.txt", "in/c.txt"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("A text of some words."), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "child")
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, filepath.Join(dir, "data"): 0o777, filepath.Join(dir, "in/locked"): 0, filepath.Join(dir, "in/c.txt"): 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-test.run=^TestUnprivilegedChild$", "-test.v")
	cmd.Env, cmd.Dir = append(os.Environ(), "TRIBUTARY_TEST_LOCKED="+dir), dir
	if os.Getuid() == 0 {
		// The superuser reads what nobody may.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.Chmod(filepath.Join(dir, "in/locked"), 0o755); err != nil {
		t.Fatal(err)
	}
}
