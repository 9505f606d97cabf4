package dynevent

import (
	"errors"
	"testing"
)

func TestJudgePointers(t *testing.T) {
	const line = "            sonde-161     [000] ...2.     6.631256: pointer_x: (syscalls.sys_enter_openat) at="
	for text, fault := range map[string]bool{
		"# tracer: nop\n" + line + "0x7ffee82d1ef3\n": false,
		line + "0xc000123456\n":                       false,
		line + "0xf2\n":                               true,
		line + "0x0\n":                                true,
		line + "0xfffffffffffffff2\n":                 true,
	} {
		if err := judgePointers(text); errors.Is(err, errPointers) != fault || (err == nil) == fault {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := judgePointers("# tracer: nop\n"); err == nil || errors.Is(err, errPointers) {
		t.Errorf("of nothing: %v", err)
	}
}
