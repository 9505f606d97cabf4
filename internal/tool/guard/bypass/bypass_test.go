package bypass

import (
	"os"
	"testing"
)

// The test binary is also the child that tries and the process that tidies up.
func TestMain(m *testing.M) {
	if handled, status := ChildMain(os.Args); handled {
		os.Exit(status)
	}
	os.Exit(m.Run())
}
