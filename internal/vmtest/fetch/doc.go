// Package fetch gets what a guest is made of and keeps it in a cache: stock Debian cloud kernels, a QEMU that is
// good enough to run them, and a static busybox.
//
// Everything comes from the Debian mirror that the machine's own apt configuration names, through a private apt
// directory: nothing is installed, the system's package lists are not touched, and apt verifies every file against
// that configuration's keyring. It may run apt-config, apt-get, dpkg-deb and the busybox it fetched, and write below its
// cache directory; it knows nothing of tests or of booting.
package fetch
