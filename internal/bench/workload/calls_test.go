package workload

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Role {
		os.Exit(Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestCaller(t *testing.T) {
	c, err := StartCaller()
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range []struct {
		name string
		run  func(slices, calls int) ([]Slice, error)
	}{{"parents", c.Parents}, {"opens", c.Opens}} {
		slices, err := job.run(3, 50)
		if err != nil {
			t.Fatalf("%s: %v", job.name, err)
		}
		if len(slices) != 3 {
			t.Errorf("%s: %d slices, want 3", job.name, len(slices))
		}
		for _, s := range slices {
			if s.Calls != 50 || s.Wall <= 0 || s.CPU <= 0 {
				t.Errorf("%s: a slice of nothing: %+v", job.name, s)
			}
		}
	}
	if err := c.Closes(100); err != nil {
		t.Error(err)
	}
	if err := c.Mark("no-such-file"); err != nil {
		t.Error(err)
	}
	if err := c.Rest(); err != nil {
		t.Error(err)
	}
	if _, err := c.Opens(2, MaxMissing/2+1); err == nil {
		t.Error("paths that repeat are no error")
	}
	if _, err := c.Parents(10_000, maxCalls); err == nil {
		t.Error("a job without end is no error")
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

func TestIncrement(t *testing.T) {
	for in, want := range map[string]string{
		"/a/0000000": "/a/0000001", "/a/0000009": "/a/0000010", "/a/0099999": "/a/0100000", "/a/9": "/a/0", "/a/": "/a/",
	} {
		path := []byte(in)
		increment(path)
		if string(path) != want {
			t.Errorf("%s: got %s, want %s", in, path, want)
		}
	}
	path := []byte(MissingPath(0))
	for range 12_345 {
		increment(path)
	}
	if string(path) != MissingPath(12_345) {
		t.Errorf("got %s, want %s", path, MissingPath(12_345))
	}
}
