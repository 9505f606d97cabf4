package script

import (
	"bufio"
	ejson "encoding/json"
	"os"
	"strings"
	"testing"
)

// formatRow is one row of testdata/formats.txt.
type formatRow struct {
	name, script string
	text, json   string
}

// formatRows reads the rows; the file's head says what they are.
func formatRows(t *testing.T) (rows []formatRow) {
	t.Helper()
	f, err := os.Open("testdata/formats.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var row *formatRow
	var into *string
	for in := bufio.NewScanner(f); in.Scan(); {
		line := in.Text()
		name, begins := strings.CutPrefix(line, "=== ")
		switch {
		case begins:
			rows = append(rows, formatRow{name: name})
			row = &rows[len(rows)-1]
			into = &row.script
		case row == nil:
		case line == "--- text":
			into = &row.text
		case line == "--- json":
			into = &row.json
		default:
			*into += line + "\n"
		}
	}
	return rows
}

// The rows are whole: each has its script, and its JSON is JSON.
func TestFormatRows(t *testing.T) {
	rows := formatRows(t)
	if len(rows) < 50 {
		t.Fatalf("%d rows", len(rows))
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.name] || strings.Count(row.script, "\n") != 1 || !strings.HasSuffix(row.text, "\n\n") && !strings.Contains(row.text, "\n\n@") {
			t.Errorf("%s: not a row: %+v", row.name, row)
		}
		seen[row.name] = true
		for line := range strings.Lines(row.json) {
			if !ejson.Valid([]byte(line)) {
				t.Errorf("%s: no JSON: %s", row.name, line)
			}
		}
	}
}
