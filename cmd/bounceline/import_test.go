package main

import (
	"math/rand/v2"
	"testing"
)

func TestLooksBinary(t *testing.T) {
	var noise [64 << 10]byte
	for seed := range 50 {
		rand.NewChaCha8([32]byte{byte(seed)}).Read(noise[:])
		for _, n := range []int{1 << 10, len(noise)} {
			if !looksBinary(noise[:n]) {
				t.Errorf("%d random bytes from seed %d pass for a log", n, seed)
			}
		}
	}
	for _, text := range []string{
		"",
		"\x00\x00\x00Nov 27 12:00:00 mx1 postfix/qmgr[1]: 4F1: removed\n",
		"Nov 27 12:00:00 mx1 postfix/smtp[1]: 4F1: to=<a@example.org>, status=bounced (\xc2\xcf\xd2\xcf\xc4\xc1\xcd \xce\xc5\xd4)\n", // KOI8-R
		"Nov 27 12:00:00 mx1 postfix/smtp[1]: 4F1: to=<a@example.org>, status=bounced (550 ユーザーが存在しません。受信者のアドレスをご確認ください)\n",
	} {
		if looksBinary([]byte(text)) {
			t.Errorf("%q passes for binary data", text)
		}
	}
}
