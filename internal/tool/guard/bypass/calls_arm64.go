package bypass

const exitMachine = 183 // EM_AARCH64

// exitCode is exit_group(77).
var exitCode = []byte{0xa0, 0x09, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4}

func classicOpen(string, int) (int, error) { return -1, impossible("this architecture has no open(2)") }

func classicCreat(string) (int, error) { return -1, impossible("this architecture has no creat(2)") }

func open32(string, int) (int, error) {
	return -1, impossible("calls of 32-bit programs cannot be made from a 64-bit one on this architecture")
}
