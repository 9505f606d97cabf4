package sonde_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is compiled for the kernel says in its first lines under which licences it is (LICENSES/README.md).
func TestLicenceLines(t *testing.T) {
	var files []string
	for _, pattern := range []string{"bpf/*.h", "internal/*/*.bpf.c", "internal/*/*/*.bpf.c"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("no BPF sources found")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// A .bpf.c file begins with the line that keeps go build away from it.
		head := strings.SplitN(string(text), "\n", 4)
		if !strings.Contains(strings.Join(head[:len(head)-1], "\n"), "SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause") {
			t.Errorf("%s does not say SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause in its first lines", name)
		}
	}
}
