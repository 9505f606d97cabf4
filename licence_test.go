package sonde_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is compiled for the kernel says in its first line under which licences it is (LICENSES/README.md).
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
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(f).ReadString('\n')
		f.Close()
		if err != nil || !strings.Contains(line, "SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause") {
			t.Errorf("%s does not begin with SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause", name)
		}
	}
}
