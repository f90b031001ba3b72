package conversation_test

import (
	"fmt"
	"strings"
	"testing"

	"causeway/ent"
	"causeway/internal/store/storetest"
)

// BenchmarkApply applies claims of 256 messages, from 64 customers, on SQLite.
func BenchmarkApply(b *testing.B) {
	h := newHouse(b, storetest.SQLite(b))
	conn := h.bot()
	const claim, customers = 256, 64
	text := "Where is my parcel? " + strings.Repeat("It was sent on Monday. ", 3)
	claims := make([][]*ent.WebhookLog, 0, 100)
	for n := range cap(claims) {
		updates := make([]string, claim)
		for i := range updates {
			who := 1000 + i%customers
			updates[i] = writes(person(who, fmt.Sprintf("Customer %d", who)), n*claim+i, fmt.Sprintf("%s %d", text, i))
		}
		claims = append(claims, h.logs(conn, updates...))
	}
	applied := 0
	for b.Loop() {
		if applied == len(claims) {
			b.Fatal("not enough updates were made: run it with a shorter -benchtime")
		}
		h.apply(claims[applied]...)
		applied++
	}
	b.ReportMetric(float64(applied*claim)/b.Elapsed().Seconds(), "messages/s")
}
