// Package ent is generated from ent/schema: change the schema, run go generate ./...
// and commit both. Only schema, entc.go and this file are written by hand.
package ent

//go:generate go run -mod=mod entc.go
