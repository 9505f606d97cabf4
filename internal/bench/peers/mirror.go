package peers

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Mirror returns the address of the Debian archive that this machine's apt is set up to use.
func Mirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets",
		"--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for its sources: %w", err)
	}
	return pickMirror(string(out))
}

// pickMirror takes the first source that is Debian's main archive: security updates have a label of their own.
func pickMirror(targets string) (string, error) {
	for line := range strings.Lines(targets) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[1] == "Debian" && fields[2] == "Debian" {
			return strings.TrimSuffix(fields[0], "/"), nil
		}
	}
	return "", errors.New("apt knows no Debian archive: add one to its sources and run `apt-get update`")
}

// proxy returns the HTTP proxy apt is told to use, or nothing.
func proxy() string {
	out, err := exec.Command("apt-config", "shell", "P", "Acquire::http::Proxy").Output()
	if err != nil {
		return ""
	}
	value, _ := strings.CutPrefix(strings.TrimSpace(string(out)), "P=")
	return strings.Trim(value, "'")
}
