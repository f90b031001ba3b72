//go:build tools

// Package causeway pins the commands that go generate and .ci/run run.
package causeway

import (
	_ "ariga.io/atlas/sql/migrate"
	_ "entgo.io/contrib/entgql"
	_ "entgo.io/ent/cmd/ent"
	_ "github.com/99designs/gqlgen"
	_ "honnef.co/go/tools/cmd/staticcheck"
	_ "github.com/99designs/gqlgen/graphql/handler"
	_ "github.com/alecthomas/kong"
	_ "github.com/gorilla/websocket"
	_ "github.com/hashicorp/go-multierror"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"
	_ "github.com/nats-io/nats-server/v2/server"
	_ "github.com/nats-io/nats.go"
	_ "github.com/vmihailenco/msgpack/v5"
	_ "go.jetify.com/typeid"
	_ "go.uber.org/goleak"
	_ "golang.org/x/crypto/argon2"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sync/semaphore"
	_ "golang.org/x/text/language"
	_ "golang.org/x/time/rate"
	_ "golang.org/x/tools/txtar"
	_ "pgregory.net/rapid"
)
