package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Stock is one stock Debian kernel and the suites that have it, best first.
type Stock struct {
	Name string // the release's first two numbers
	From []Suite
}

// Stocks are the kernels that sonde is tested on. To add one, add a row here and a column to the table of package vmtest.
var Stocks = []Stock{
	{"5.10", []Suite{{Name: "bullseye"}}},
	{"6.1", []Suite{{Name: "bookworm", Security: true}}},
	{"6.12", []Suite{{Name: "bookworm-backports", Base: "bookworm"}, {Name: "trixie"}}},
	{"7.2", []Suite{{Name: "sid"}}},
}

// Names lists the kernels of Stocks.
func Names() []string {
	var names []string
	for _, s := range Stocks {
		names = append(names, s.Name)
	}
	return names
}

// guestModules are the kernel modules that a guest may need: the way to the host, the disk, what tests mount, and what
// they probe. What they depend on comes with them. One that is built in is not missed.
var guestModules = []string{"virtio_pci", "virtio_console", "virtio_blk", "overlay", "xfs", "md_mod", "btrfs"}

// Kernel is a kernel in the cache.
type Kernel struct {
	Name    string // "6.1"
	Release string // "6.1.0-41-cloud-amd64", what uname -r says; empty: not known, as of an OwnImage
	Image   string // path of vmlinuz
	Modules string // directory: uncompressed NAME.ko, and "order", their names in the order to load them
}

// OwnImage is the name of a kernel that is none of Stocks, but an image that somebody has.
const OwnImage = "image"

// Own returns a kernel whose image is at hand. What guestModules are for must be built in.
func (c *Cache) Own(ctx context.Context, image string) (Kernel, error) {
	dir, err := c.Item(ctx, "kernel-"+OwnImage, kernelRecipe, func(_ context.Context, dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "modules"), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "modules", "order"), nil, 0o644)
	})
	return Kernel{Name: OwnImage, Image: image, Modules: filepath.Join(dir, "modules")}, err
}

// kernelRecipe goes up when what is kept of a kernel changes.
const kernelRecipe = "kernel 2"

// Kernel returns the named kernel of Stocks, fetching it if needed (10 to 100 MB).
func (c *Cache) Kernel(ctx context.Context, name string) (Kernel, error) {
	i := slices.IndexFunc(Stocks, func(s Stock) bool { return s.Name == name })
	if i < 0 {
		return Kernel{}, fmt.Errorf("no stock kernel %q: there are %s", name, strings.Join(Names(), ", "))
	}
	busybox, err := c.Busybox(ctx)
	if err != nil {
		return Kernel{}, err
	}
	recipe := kernelRecipe + " " + strings.Join(guestModules, " ")
	dir, err := c.Item(ctx, "kernel-"+name, recipe, func(ctx context.Context, dir string) error {
		var err error
		for _, suite := range Stocks[i].From {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err = c.kernelFrom(ctx, dir, name, suite, busybox); err == nil {
				return nil
			}
			c.say("kernel-%s: %v", name, err)
		}
		return err
	})
	if err != nil {
		return Kernel{}, err
	}
	release, err := os.ReadFile(filepath.Join(dir, "release"))
	if err != nil {
		return Kernel{}, err
	}
	return Kernel{name, string(release), filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "modules")}, nil
}

var kernelPackage = regexp.MustCompile(`^linux-(image|binary|modules|base)-[0-9]`)

func (c *Cache) kernelFrom(ctx context.Context, dir, name string, suite Suite, busybox string) error {
	root, err := c.packages(ctx, dir, suite, "linux-image-cloud-amd64", kernelPackage.MatchString)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	image, release, err := findImage(root)
	if err != nil {
		return fmt.Errorf("%s: %w", suite.Name, err)
	}
	if !strings.HasPrefix(release, name+".") {
		return fmt.Errorf("%s now has kernel %s instead of %s: see internal/vmtest/README.md for how to change the list of kernels", suite.Name, release, name)
	}
	tree := filepath.Join(root, "usr/lib/modules", release)
	if _, err := os.Stat(tree); err != nil {
		tree = filepath.Join(root, "lib/modules", release)
	}
	if err := copyModules(ctx, tree, filepath.Join(dir, "modules"), guestModules, busybox); err != nil {
		return err
	}
	if err := os.Rename(image, filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "release"), []byte(release), 0o644)
}

// findImage finds the kernel image in an unpacked package: boot/vmlinuz-RELEASE, or, as Debian does it in 7.2, beside the modules.
func findImage(root string) (image, release string, err error) {
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		switch {
		case len(found) > 1:
			return "", "", fmt.Errorf("%d kernel images where one was expected", len(found))
		case len(found) == 1 && strings.HasPrefix(pattern, "boot"):
			return found[0], strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-"), nil
		case len(found) == 1:
			return found[0], filepath.Base(filepath.Dir(found[0])), nil
		}
	}
	return "", "", errors.New("no kernel image in the packages")
}

// QEMU is a QEMU in the cache, which runs on its own C library so that the machine's may be older.
type QEMU struct {
	Command []string // what to start it with; the caller appends its own arguments
	Env     []string // to be added to the environment
}

// qemuPackages are those of the closure that a running qemu opens files of; the rest belongs to an installed system.
var qemuPackages = regexp.MustCompile(`^(lib|qemu-system-|seabios$|ipxe-qemu$|zlib1g$)`)

// QEMU returns trixie's qemu-system-x86_64, fetching it if needed (about 50 MB). Bookworm's, 7.2, is not good enough: its
// multi-threaded TCG keeps running stale code after a guest kernel has patched itself.
func (c *Cache) QEMU(ctx context.Context) (QEMU, error) {
	dir, err := c.Item(ctx, "qemu", "qemu 1", func(ctx context.Context, dir string) error {
		root, err := c.packages(ctx, dir, Suite{Name: "trixie"}, "qemu-system-x86", qemuPackages.MatchString)
		if err != nil {
			return err
		}
		return os.Rename(root, filepath.Join(dir, "root"))
	})
	if err != nil {
		return QEMU{}, err
	}
	usr := filepath.Join(dir, "root/usr")
	lib := filepath.Join(usr, "lib/x86_64-linux-gnu")
	return QEMU{
		Command: []string{
			filepath.Join(lib, "ld-linux-x86-64.so.2"), "--library-path", lib,
			filepath.Join(usr, "bin/qemu-system-x86_64"),
			"-L", filepath.Join(usr, "share/qemu"), "-L", filepath.Join(usr, "share/seabios"),
		},
		Env: []string{"QEMU_MODULE_DIR=" + filepath.Join(lib, "qemu")},
	}, nil
}

// Busybox returns the path of a static busybox, fetching it if needed (1 MB).
func (c *Cache) Busybox(ctx context.Context) (string, error) {
	dir, err := c.Item(ctx, "busybox", "busybox 1", func(ctx context.Context, dir string) error {
		root, err := c.packages(ctx, dir, Suite{Name: "bookworm"}, "busybox-static", func(name string) bool { return name == "busybox-static" })
		if err != nil {
			return err
		}
		defer os.RemoveAll(root)
		for _, path := range []string{"bin/busybox", "usr/bin/busybox"} {
			if err = os.Rename(filepath.Join(root, path), filepath.Join(dir, "busybox")); err == nil {
				return nil
			}
		}
		return err
	})
	return filepath.Join(dir, "busybox"), err
}

// packages unpacks those packages of the closure of name that want accepts, below the returned directory in dir.
func (c *Cache) packages(ctx context.Context, dir string, suite Suite, name string, want func(string) bool) (root string, err error) {
	private := filepath.Join(dir, "apt")
	if err := os.RemoveAll(private); err != nil {
		return "", err
	}
	defer os.RemoveAll(private)
	item := strings.TrimSuffix(filepath.Base(dir), ".new")
	c.say("%s: reading the package lists of %s", item, suite.Name)
	a, err := newApt(ctx, private, suite)
	if err != nil {
		return "", err
	}
	list, err := a.closure(ctx, name)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(p Package) bool { return !want(p.Name) })
	if len(list) == 0 {
		return "", fmt.Errorf("%s in %s: none of the packages it depends on is one that is needed", name, suite.Name)
	}
	c.say("%s: downloading %d packages from %s", item, len(list), suite.Name)
	stop := c.watch(item, filepath.Join(private, "debs"))
	defer stop()
	root = filepath.Join(dir, "unpacked")
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	return root, a.unpack(ctx, list, root)
}
