package dynevent

import (
	"os"
	"testing"

	"sonde/internal/tracefs"
)

func TestMain(m *testing.M) {
	if handled, status := tracefs.RemoverMain(os.Args); handled {
		os.Exit(status)
	}
	os.Exit(m.Run())
}
