package fetch

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxModule bounds what is read of one module; the largest in a cloud kernel is a few MB.
const maxModule = 64 << 20

// copyModules copies the wanted modules, and those they depend on, out of a kernel's module tree into dir, uncompressed,
// and writes the order to load them in.
func copyModules(ctx context.Context, tree, dir string, wanted []string, busybox string) error {
	files, err := findModules(tree)
	if err != nil {
		return err
	}
	builtin, err := os.ReadFile(filepath.Join(tree, "modules.builtin"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(builtin)) {
		files[moduleName(strings.TrimSpace(line))] = ""
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var order []string
	var add func(name string, path []string) error
	add = func(name string, path []string) error {
		file, known := files[name]
		switch {
		case !known:
			return fmt.Errorf("kernel module %s (wanted by %s) is not in %s", name, strings.Join(path, ", "), filepath.Base(tree))
		case file == "" || slices.Contains(order, name):
			return nil
		case slices.Contains(path, name):
			return fmt.Errorf("kernel module %s depends on itself through %s", name, strings.Join(path, ", "))
		}
		content, err := readModule(ctx, file, busybox)
		if err != nil {
			return err
		}
		needs, err := moduleDepends(content)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		for _, need := range needs {
			if err := add(need, append(path, name)); err != nil {
				return err
			}
		}
		order = append(order, name)
		return os.WriteFile(filepath.Join(dir, name+".ko"), content, 0o644)
	}
	for _, name := range wanted {
		if err := add(name, []string{"the guest"}); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "order"), []byte(strings.Join(order, "\n")+"\n"), 0o644)
}

// findModules maps the names of a tree's modules to their files.
func findModules(tree string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(tree, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".ko") {
			files[moduleName(path)] = path
		}
		return err
	})
	return files, err
}

// moduleName is what the kernel calls the module in a file: it takes dashes for underscores.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func readModule(ctx context.Context, file, busybox string) ([]byte, error) {
	if info, err := os.Stat(file); err != nil {
		return nil, err
	} else if info.Size() > maxModule {
		return nil, fmt.Errorf("%s: %d bytes are more than a kernel module should have", file, info.Size())
	}
	switch filepath.Ext(file) {
	case ".ko":
		return os.ReadFile(file)
	case ".xz":
		out, err := run(ctx, "", nil, busybox, "xzcat", file)
		return []byte(out), err
	}
	return nil, fmt.Errorf("%s: compressed in a way that is not known here (.ko and .ko.xz are)", filepath.Base(file))
}

// moduleDepends reads the names of the modules that a module says it needs, from its .modinfo section.
func moduleDepends(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section: not a kernel module")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
