// Recovers the senders of raw transactions from Go by cgo, and checks them.
//
//	CGO_CFLAGS="-I$PWD/host/capi/include" CGO_LDFLAGS="-L$PWD/target/release -llockstep" go run host/capi/examples/recover.go FILE
//
// FILE is that of recover.c beside this one.
package main

/*
#include <lockstep.h>
*/
import "C"

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"
)

// Lockstep is an engine. Its methods may be called by any number of goroutines.
type Lockstep struct{ handle C.lockstep_handle }

// New starts an engine on the CPU.
func New() (*Lockstep, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	options := C.lockstep_options{backend: C.LOCKSTEP_BACKEND_CPU}
	lockstep := new(Lockstep)
	return lockstep, failure(C.lockstep_create(C.LOCKSTEP_ABI_VERSION, &options, &lockstep.handle))
}

// Close ends the engine.
func (lockstep *Lockstep) Close() { C.lockstep_destroy(lockstep.handle) }

// Recover gives 20 bytes and a status for each of the transactions, which lie one behind the other in raw.
func (lockstep *Lockstep) Recover(raw []byte, offsets []uint64) (addresses, statuses []byte, err error) {
	count := len(offsets) - 1
	addresses, statuses = make([]byte, 20*count), make([]byte, count)
	if count < 1 || len(raw) == 0 {
		return addresses, statuses, nil
	}
	// The structs hold pointers to Go's memory, which must not move meanwhile.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&raw[0])
	pinner.Pin(&offsets[0])
	pinner.Pin(&addresses[0])
	pinner.Pin(&statuses[0])
	var signatures C.lockstep_signatures
	signatures.raw.bytes = C.lockstep_bytes{data: (*C.uint8_t)(unsafe.Pointer(&raw[0])), len: C.size_t(len(raw))}
	signatures.raw.offsets = C.lockstep_u64s{data: (*C.uint64_t)(unsafe.Pointer(&offsets[0])), len: C.size_t(len(offsets))}
	var signers C.lockstep_signers
	signers.addresses = C.lockstep_out{data: (*C.uint8_t)(unsafe.Pointer(&addresses[0])), capacity: C.size_t(len(addresses))}
	signers.statuses = C.lockstep_out{data: (*C.uint8_t)(unsafe.Pointer(&statuses[0])), capacity: C.size_t(len(statuses))}
	// The text of an error is its thread's: stay on it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return addresses, statuses, failure(C.lockstep_recover(lockstep.handle, &signatures, &signers))
}

func failure(code C.lockstep_code) error {
	if code == C.LOCKSTEP_CODE_OK {
		return nil
	}
	var text [512]C.char
	C.lockstep_last_error(0, &text[0], C.size_t(len(text)))
	return fmt.Errorf("lockstep: code %d: %s", int32(code), C.GoString(&text[0]))
}

func run(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	count := int(binary.LittleEndian.Uint64(data))
	offsets := make([]uint64, count+1)
	for i := range offsets {
		offsets[i] = binary.LittleEndian.Uint64(data[8+8*i:])
	}
	start := 8 + 8*(count+1)
	raw, expected := data[start:start+int(offsets[count])], data[start+int(offsets[count]):]
	lockstep, err := New()
	if err != nil {
		return err
	}
	defer lockstep.Close()
	begin := time.Now()
	addresses, statuses, err := lockstep.Recover(raw, offsets)
	took := time.Since(begin).Seconds()
	if err != nil {
		return err
	}
	if !bytes.Equal(addresses, expected) || bytes.Count(statuses, []byte{C.LOCKSTEP_ITEM_STATUS_OK}) != count {
		return fmt.Errorf("another sender than expected")
	}
	fmt.Printf("%d senders in %.6f s: %.0f a second\n", count, took, float64(count)/took)
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: recover FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
