package malloc

import "testing"

func TestCountApart(t *testing.T) {
	const text = `8 bytes in 1 call; asker (1)
    malloc+0x0
    ask+0x9
    apart_a0+0x9
    apart_b1+0x9
    apart_c2+0x9
8 bytes in 1 call; asker (1)
    malloc+0x0
    apart_a0+0x10
    apart_b1+0x9
    apart_c2+0x9
8 bytes in 1 call; asker (1)
    malloc+0x0
    apart_a0+0x9
    apart_b1+0x9
    apart_c3+0x9
1024 bytes in 1 call; asker (1)
    malloc+0x0
    [the rest is not known: code without frame pointers]
`
	if got := countApart(text, " bytes in "); got != 2 {
		t.Errorf("%d stacks, want 2", got)
	}
}
