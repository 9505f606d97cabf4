package bypass

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// The test binary is also the child that tries and the process that tidies up.
func TestMain(m *testing.M) {
	if handled, status := ChildMain(os.Args); handled {
		os.Exit(status)
	}
	if dir := os.Getenv("BYPASS_TEST_STAGE"); dir != "" {
		holdStage(dir)
	}
	os.Exit(m.Run())
}

// holdStage makes a stage, says where, and waits to be killed.
func holdStage(parent string) {
	os.Unsetenv("BYPASS_TEST_STAGE")
	stage, err := NewStage(parent)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.WriteFile(stage.Dir()+"/left", nil, 0o600); err != nil {
		os.Exit(1)
	}
	fmt.Println(stage.Dir())
	time.Sleep(time.Hour)
}
