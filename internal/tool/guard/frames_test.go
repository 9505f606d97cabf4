package guard

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// A chain of calls has 8 frames. The programs go to that limit, and kernels refuse what goes beyond it, whether it can be reached or not.
func TestFrames(t *testing.T) {
	const most = 8
	coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(_BpfBytes))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range coll.Programs {
		calls := make(map[string][]string)
		var in string
		for i := range p.Instructions {
			if s := p.Instructions[i].Symbol(); s != "" {
				in = s
			}
			if p.Instructions[i].IsFunctionCall() {
				calls[in] = append(calls[in], p.Instructions[i].Reference())
			}
		}
		var longest func(f string) []string
		longest = func(f string) []string {
			var below []string
			for _, called := range calls[f] {
				if chain := longest(called); len(chain) > len(below) {
					below = chain
				}
			}
			return append([]string{f}, below...)
		}
		chain := longest(p.Instructions[0].Symbol())
		if len(chain) > most {
			t.Errorf("%s: %d frames: %s", name, len(chain), strings.Join(chain, " → "))
		}
		if strings.HasPrefix(name, "guard_inode_") && !slices.Contains(chain, "ask_about") {
			t.Errorf("%s: its calls were not found: %v", name, chain)
		}
	}
}
