package guest

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/bench/report"
)

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, in, shown string
		want            *report.Results
	}{
		{"with progress before it", "round 1\n\n" + resultMark + `{"machine":"m"}` + "\n", "round 1\n", &report.Results{Machine: "m"}},
		{"none", "round 1\nbenchall: no\n", "round 1\nbenchall: no\n", nil},
		{"broken", "\n" + resultMark + "{\n", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := read([]byte(test.in))
			if (err == nil) != (test.want != nil) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			var shown bytes.Buffer
			p := &progress{to: &shown}
			if n, err := io.WriteString(p, test.in); n != len(test.in) || err != nil {
				t.Fatal(n, err)
			}
			if diff := cmp.Diff(test.shown, shown.String()); diff != "" {
				t.Errorf("shown: %s", diff)
			}
		})
	}
}

func TestHand(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("round 1")
	want := &report.Results{Machine: "m", Failures: []string{"a\nb"}}
	if err := Hand(&out, want); err != nil {
		t.Fatal(err)
	}
	got, err := read(out.Bytes())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
