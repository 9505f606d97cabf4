// Package vmtest runs tests on kernels other than the machine's own, and tells tests what to expect of each.
//
// Two sides use it. A test calls [Need] to say which kernel features it tests, and [Guest] to learn where it runs; the
// runner (internal/vmtest/cmd/runtests, what "make test" calls) calls [Boot], which boots a stock Debian kernel in qemu
// with test binaries inside.
//
// Which test runs where goes by its name and its file:
//   - TestKernel... lives in an ordinary file, is scoped to processes that it started itself, and runs on the machine's
//     own kernel and in every guest.
//   - TestGuest... lives in a *_guest_test.go file with the build tag "guest" and runs in guests only: whatever is
//     system-wide, kills or denies.
//   - Every other test runs on the machine only. A package without TestKernel or TestGuest is not booted.
//   - The tests of booting itself have the build tag "boot"; the runner sets it on the machine when guests are wanted.
//
// A test skips only by Need. In a guest the test binary is built with CGO_ENABLED=0 and runs as root in a directory of
// the package's own name with a copy of its testdata; $SONDE_BIN is the sonde binary and $SONDE_GUEST_KERNEL the
// kernel's name in the tables ("6.1"). Tests of internal/kernel and internal/attach that use this package belong in
// the packages kernel_test and attach_test, because vmtest imports those two.
//
// For tests only: nothing that ships imports this room. It may run qemu and write below its cache and a temporary
// directory; on the machine itself it changes nothing else. How to add a kernel is in the README beside this file.
package vmtest
