package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sonde/internal/compile"
)

// What the verifier refuses is shown as the place in the script, the kernel's line, and how to report it.
func TestKernelScriptRefused(t *testing.T) {
	needRoot(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	beforeLoad = func(p *compile.Program) {
		for name, spec := range p.Spec.Collection.Programs {
			// The last instruction of the second statement reads a register that nothing was put into.
			at := -1
			for i, pos := range p.Positions[name] {
				if pos >= 0 && strings.HasPrefix(string(p.Source.Text[pos:]), "@total") {
					at = i
				}
			}
			if at < 0 {
				t.Fatal("no instruction of the second statement")
			}
			spoilt := &spec.Instructions[at] // r0 = r9
			spoilt.OpCode, spoilt.Dst, spoilt.Src, spoilt.Offset, spoilt.Constant = 0xbf, 0, 9, 0, 0
		}
	}
	defer func() { beforeLoad = nil }()
	for _, c := range []struct {
		name    string
		verbose int
		want    []string
	}{
		{"plain", 0, []string{
			"stdin:3:2: error: the kernel's verifier refuses the code that sonde made of this: R9 !read_ok\n",
			"\n        @total = @total + $x;\n        ~~~~~~\n",
			"\nThis is a bug of sonde, not of the script. Please report it",
			"\nsonde devel, Linux ", ", program ", ", instruction ",
		}},
		{"verbose", 1, []string{"verifier: ", "R9 !read_ok"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			errOut, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer errOut.Close()
			out, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			s := &script{name: classicName, io: streams{in: strings.NewReader(""), out: out, err: errOut}, kernel: liveKernel(),
				flags: &scriptFlags{format: "text", verbose: c.verbose}}
			err = s.run(scriptSource{name: stdinName, text: []byte("begin {\n\t$x = cpu;\n\t@total = @total + $x;\n}\n")})
			if got := exitStatus(errOut, classicName, err); got != exitFailure {
				t.Errorf("status %d", got)
			}
			if got := classicStatus(exitFailure, err); got != classicLoad {
				t.Errorf("status of bpftrace %d", got)
			}
			text, err := os.ReadFile(errOut.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.want {
				if !strings.Contains(string(text), w) {
					t.Errorf("it does not say %q:\n%s", w, text)
				}
			}
		})
	}
}
