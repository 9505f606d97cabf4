package bypass

import (
	"context"
	"os"
	"testing"
)

// needRoot skips what no unprivileged user can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// unseen are the ways of whose success the decoy itself shows nothing.
var unseen = map[string]bool{"mount over it": true, "rmdir": true}

// Without a rule every way leads to the decoy, in memory and on a disk; but for those of which the test knows why not.
func TestKernelUnguarded(t *testing.T) {
	needRoot(t)
	for _, place := range Places() {
		t.Run(place.Kind, func(t *testing.T) {
			stage, err := NewStage(place.Dir)
			if err != nil {
				t.Fatal(err)
			}
			defer stage.Close()
			counts := make(map[Outcome]int)
			for _, w := range Ways() {
				for _, shape := range Shapes {
					r, err := stage.Try(context.Background(), w, shape, Unguarded)
					counts[r.Outcome]++
					switch {
					case err != nil:
						t.Errorf("%s, %v: %v", w.Name, shape, err)
					case r.Outcome == Outside:
					case r.Outcome == Reached && (r.Effect != LetThrough || unseen[w.Name]):
					case r.Outcome == Impossible && w.Group != Opens:
						t.Logf("%s, %v: %v", w.Name, shape, r)
					default:
						t.Errorf("%s, %v: %v", w.Name, shape, r)
					}
				}
			}
			t.Log(len(Ways()), "ways:", counts)
		})
	}
}
