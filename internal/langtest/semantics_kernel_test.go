package langtest

import (
	"strings"
	"testing"

	"sonde/internal/vmtest"
)

// Every row gives what it says.
func TestKernelSemantics(t *testing.T) {
	root(t)
	eachRow(t, func(t *testing.T, r *row) {
		r.need(t)
		t.Parallel()
		for _, plain := range []bool{false, true} {
			how := r.run()
			how.NoOptimize = plain
			o, err := execute(r.text(), how)
			if err != nil {
				t.Fatalf("not optimised: %v: %v", plain, err)
			}
			r.compare(t, o)
			if r.refused != "" || t.Failed() || testing.Short() || vmtest.Guest() != "" {
				break
			}
		}
	})
}

// compare compares what a row expects with what there was.
func (r *row) compare(t *testing.T, o outcome) {
	t.Helper()
	switch {
	case r.refused != "":
		if !strings.Contains(o.refused, r.refused) {
			t.Errorf("the compiler says %q, want %q", o.refused, r.refused)
		}
		return
	case o.refused != "":
		t.Errorf("refused: %s", o.refused)
		return
	}
	want := []struct{ what, got, want string }{
		{"printed", strings.TrimSuffix(o.out, "\n"), r.want},
		{"maps at the end", strings.TrimSuffix(o.maps, "\n"), r.maps},
	}
	for _, w := range want {
		if w.got != w.want {
			t.Errorf("%s:\ngot  %q\nwant %q", w.what, w.got, w.want)
		}
	}
	if o.code != r.code {
		t.Errorf("status %d, want %d", o.code, r.code)
	}
	if o.lost > 0 {
		t.Errorf("%d records were lost", o.lost)
	}
	for _, part := range r.says {
		if !strings.Contains(o.err, part) {
			t.Errorf("told %q, want %q", o.err, part)
		}
	}
	if len(r.says) == 0 && o.err != "" {
		t.Errorf("told %q", o.err)
	}
}
