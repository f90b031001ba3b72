package graph_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"causeway/graph"
	"causeway/internal/auth"
	"causeway/internal/problem"
	"causeway/internal/store/storetest"
)

func TestWhatAResolverPanickedWithIsNotLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	r := graph.Resolver{Log: slog.New(slog.NewTextHandler(&log, nil))}
	err := r.Recover(t.Context(), "what a customer wrote")
	if !strings.Contains(log.String(), "panic=string") || strings.Contains(log.String()+err.Error(), "customer wrote") {
		t.Errorf("logged %s, answered %v", log.String(), err)
	}
}

func TestTroubleBeforeAnythingIsReadHasACodeToo(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	problems, err := problem.New()
	if err != nil {
		t.Fatal(err)
	}
	r := &graph.Resolver{Viewers: db.NewReader(), Problems: problems, Log: slog.New(slog.DiscardHandler)}
	_ = db.Close()
	operation := &ast.OperationDefinition{
		Operation:    ast.Query,
		SelectionSet: ast.SelectionSet{&ast.Field{Name: "eventCursor"}},
	}
	ctx := auth.WithViewer(t.Context(), &auth.Viewer{Admin: true})
	ctx = graphql.WithOperationContext(ctx, &graphql.OperationContext{Operation: operation, Doc: &ast.QueryDocument{}})
	response := r.LoadTogether(ctx, func(context.Context) graphql.ResponseHandler {
		t.Error("the operation went on")
		return graphql.OneShot(&graphql.Response{})
	})(ctx)
	if len(response.Errors) != 1 || response.Errors[0].Extensions["code"] != "INTERNAL" || response.Errors[0].Extensions["requestId"] == nil {
		t.Errorf("answered %v", response.Errors)
	}
}
