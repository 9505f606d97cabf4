package dynevent

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if handled, status := RemoverMain(os.Args); handled {
		os.Exit(status)
	}
	os.Exit(m.Run())
}
