package graph_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

func load(t *testing.T, path string) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip(path + " is not there: nothing to compare with")
	}
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: path, Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func own(t *testing.T) *ast.Schema { return load(t, "../schema.graphqls") }

// types are the schema's own, without those that the language brings.
func types(schema *ast.Schema) []*ast.Definition {
	var all []*ast.Definition
	for _, name := range slices.Sorted(maps.Keys(schema.Types)) {
		if def := schema.Types[name]; !def.BuiltIn {
			all = append(all, def)
		}
	}
	return all
}

func fieldsOf(def *ast.Definition) []*ast.FieldDefinition {
	return slices.DeleteFunc(slices.Clone(def.Fields), func(f *ast.FieldDefinition) bool { return strings.HasPrefix(f.Name, "__") })
}

func TestEveryMutationHasOneInputAndANullablePayload(t *testing.T) {
	t.Parallel()
	schema := own(t)
	for _, m := range fieldsOf(schema.Mutation) {
		title := strings.ToUpper(m.Name[:1]) + m.Name[1:]
		switch len(m.Arguments) {
		case 0:
			if m.Name != "signOut" {
				t.Errorf("%s says of nothing what to change", m.Name)
			}
		case 1:
			a := m.Arguments[0]
			input := a.Name == "input" && a.Type.String() == title+"Input!"
			id := (a.Name == "id" || strings.HasSuffix(a.Name, "Id")) && a.Type.String() == "ID!"
			enum := schema.Types[a.Type.Name()].Kind == ast.Enum // what the viewer says of themselves
			if !input && !id && !enum {
				t.Errorf("%s(%s: %s) is neither one input of its own nor one id", m.Name, a.Name, a.Type)
			}
		default:
			switch m.Name {
			case "setTyping": // said every few seconds: one id and a switch
			case "replayWebhooks": // one id and the filter of the list that is replayed
			default:
				t.Errorf("%s has %d arguments", m.Name, len(m.Arguments))
			}
		}
		if m.Type.String() != title+"Payload" {
			t.Errorf("%s answers %s, not a nullable payload of its own", m.Name, m.Type)
			continue
		}
		problems := schema.Types[title+"Payload"].Fields.ForName("userErrors")
		if problems == nil || problems.Type.String() != "[Problem!]!" {
			t.Errorf("%s has no userErrors: [Problem!]!", title+"Payload")
		}
		for _, f := range schema.Types[title+"Payload"].Fields {
			if f.Name != "userErrors" && f.Type.NonNull && f.Type.Elem == nil && f.Type.Name() != "Int" {
				t.Errorf("%sPayload.%s: %s must be null beside userErrors", title, f.Name, f.Type)
			}
		}
	}
}

func TestListsHaveNoHoles(t *testing.T) {
	t.Parallel()
	for _, def := range types(own(t)) {
		for _, f := range def.Fields {
			isPage := strings.HasSuffix(def.Name, "Connection") && f.Name == "edges" // as Relay has it
			isNodes := def.Name == "Query" && f.Name == "nodes"                      // null for what is not there
			for list := f.Type; list.Elem != nil; list = list.Elem {
				if !list.Elem.NonNull && !isPage && !isNodes {
					t.Errorf("%s.%s: %s may hold null", def.Name, f.Name, f.Type)
				}
			}
		}
	}
}

func TestPagesAreRelayConnections(t *testing.T) {
	t.Parallel()
	schema := own(t)
	shape := func(def *ast.Definition, want map[string]string) {
		t.Helper()
		for name, typed := range want {
			if f := def.Fields.ForName(name); f == nil || f.Type.String() != typed {
				t.Errorf("%s has no %s: %s", def.Name, name, typed)
			}
		}
	}
	shape(schema.Types["PageInfo"], map[string]string{"hasNextPage": "Boolean!", "hasPreviousPage": "Boolean!", "startCursor": "Cursor", "endCursor": "Cursor"})
	for _, def := range types(schema) {
		item, isPage := strings.CutSuffix(def.Name, "Connection")
		if isPage && item != "" && def.Fields.ForName("pageInfo") != nil {
			shape(def, map[string]string{"edges": "[" + item + "Edge]", "pageInfo": "PageInfo!", "totalCount": "Int!"})
			shape(schema.Types[item+"Edge"], map[string]string{"node": item, "cursor": "Cursor!"})
		}
		for _, f := range def.Fields {
			if answers := schema.Types[f.Type.Name()]; answers.Fields.ForName("pageInfo") == nil {
				continue
			}
			for name, typed := range map[string]string{"first": "Int", "last": "Int", "after": "Cursor", "before": "Cursor"} {
				if a := f.Arguments.ForName(name); a == nil || a.Type.String() != typed {
					t.Errorf("%s.%s has no %s: %s", def.Name, f.Name, name, typed)
				}
			}
		}
	}
}

func TestNamesFollowTheHouse(t *testing.T) {
	t.Parallel()
	for _, def := range types(own(t)) {
		if def.Kind == ast.InputObject && !strings.HasSuffix(def.Name, "Input") && !strings.HasSuffix(def.Name, "Filter") && !strings.HasSuffix(def.Name, "Order") {
			t.Errorf("input %s", def.Name)
		}
		for _, value := range def.EnumValues {
			if value.Name != strings.ToUpper(value.Name) {
				t.Errorf("%s.%s is not in capitals", def.Name, value.Name)
			}
		}
		for _, f := range fieldsOf(def) {
			if strings.ContainsRune(f.Name, '_') || f.Name[:1] != strings.ToLower(f.Name[:1]) {
				t.Errorf("%s.%s is not in camel case", def.Name, f.Name)
			}
			if typed := f.Type.Name(); strings.HasSuffix(f.Name, "At") && typed != "Time" {
				t.Errorf("%s.%s is a %s", def.Name, f.Name, typed)
			}
			if def.Kind == ast.Object && strings.HasSuffix(f.Name, "Id") && f.Type.Name() == "ID" && f.Name != "deletedId" {
				t.Errorf("%s.%s: output holds objects, not ids", def.Name, f.Name)
			}
			if f.Name == "id" && def.Kind == ast.Object && f.Type.String() != "ID!" {
				t.Errorf("%s.id is %s", def.Name, f.Type)
			}
		}
	}
}

// selfEvident are names that say it all.
var selfEvident = []string{"PageInfo", "OrderDirection", "Node", "Query", "Mutation", "Subscription", "UserRole", "User", "CampaignMember", "Campaign",
	"Platform", "PlatformCard", "WebhookStatus", "Connection", "TelegramBot", "BotCommand", "TokenStatus", "Webhook", "WebhookLog", "TestReport", "TestKind",
	"CheckName", "CheckOutcome", "Check", "ConversationStatus", "Conversation", "MessageDirection", "MessageAuthorKind", "MessageStatus", "Message",
	"Attachment", "AttachmentKind", "AttachmentState", "Reaction", "CampaignRole", "Availability", "ConnectionStatus", "Delivery", "WebhookLogStatus",
	"ConversationOrderField", "MessageChange", "ConnectedAccount", "ProblemCode", "MessageEvent", "ConversationEvent", "ConnectionEvent",
	"FacebookPage", "Permission", "FacebookLoginStatus", "ReplyWindow", "AssignmentPolicy", "Queue", "Presence"}

func TestWhatANameDoesNotSayIsDescribed(t *testing.T) {
	t.Parallel()
	schema := own(t)
	for _, def := range types(schema) {
		parts := []string{"Payload", "Input", "Edge", "Filter", "Order", "Connection"}
		isPart := slices.ContainsFunc(parts, func(suffix string) bool { return strings.HasSuffix(def.Name, suffix) })
		if def.Description == "" && !isPart && !slices.Contains(selfEvident, def.Name) {
			t.Errorf("%s is not described", def.Name)
		}
		if d := strings.TrimSpace(def.Description); d != "" && !strings.HasSuffix(d, ".") {
			t.Errorf("%s is described by no sentence: %q", def.Name, d)
		}
	}
	for _, f := range fieldsOf(schema.Subscription) {
		if f.Description == "" {
			t.Errorf("Subscription.%s: what it tells of is not described", f.Name)
		}
	}
}

// TestEveryArgumentReachesTheCode looks for fields with arguments that a method of a
// generated type would answer without them: each must have a resolver.
func TestEveryArgumentReachesTheCode(t *testing.T) {
	t.Parallel()
	settings, err := config.LoadConfig("../gqlgen.yml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, def := range types(own(t)) {
		if def.Kind != ast.Object || def.Name == "Query" || def.Name == "Mutation" || def.Name == "Subscription" {
			continue // their fields always have resolvers
		}
		for _, f := range def.Fields {
			if len(f.Arguments) == 0 {
				continue
			}
			n++
			if !settings.Models[def.Name].Fields[f.Name].Resolver {
				t.Errorf("%s.%s has arguments and no resolver in gqlgen.yml", def.Name, f.Name)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d fields with arguments were found", n)
	}
}

// additions are what the schema has beyond the contract, on purpose.
var additions = []string{"Message.forwardedFrom"}

func TestTheSchemaIsPartOfTheContract(t *testing.T) {
	t.Parallel()
	contract, schema := load(t, "../../shared/design/schema.graphqls"), own(t)
	for _, def := range types(schema) {
		of := contract.Types[def.Name]
		if of == nil {
			t.Errorf("the contract has no %s", def.Name)
			continue
		}
		if of.Kind != def.Kind {
			t.Errorf("%s is %s, in the contract %s", def.Name, def.Kind, of.Kind)
		}
		for _, part := range [][2][]string{
			{def.Interfaces, of.Interfaces}, {def.Types, of.Types}, {valuesOf(def), valuesOf(of)},
		} {
			for _, name := range part[0] {
				if !slices.Contains(part[1], name) {
					t.Errorf("%s: the contract has no %s", def.Name, name)
				}
			}
		}
		for _, f := range fieldsOf(def) {
			if slices.Contains(additions, def.Name+"."+f.Name) {
				continue
			}
			same(t, def.Name+"."+f.Name, f, of.Fields.ForName(f.Name))
		}
		if def.Kind == ast.InputObject {
			for _, f := range of.Fields {
				if f.Type.NonNull && f.DefaultValue == nil && def.Fields.ForName(f.Name) == nil {
					t.Errorf("%s.%s: a client of the contract sends it, and it is unknown here", def.Name, f.Name)
				}
			}
		}
	}
}

func valuesOf(def *ast.Definition) []string {
	var names []string
	for _, v := range def.EnumValues {
		names = append(names, v.Name)
	}
	return names
}

// same compares a field with the contract's: type, default, and those of its
// arguments that there are.
func same(t *testing.T, name string, f, of *ast.FieldDefinition) {
	t.Helper()
	if of == nil {
		t.Errorf("the contract has no %s", name)
		return
	}
	if f.Type.String() != of.Type.String() || f.DefaultValue.String() != of.DefaultValue.String() {
		t.Errorf("%s: %s = %s, in the contract %s = %s", name, f.Type, f.DefaultValue, of.Type, of.DefaultValue)
	}
	for _, a := range f.Arguments {
		there := of.Arguments.ForName(a.Name)
		if there == nil || a.Type.String() != there.Type.String() || a.DefaultValue.String() != there.DefaultValue.String() {
			t.Errorf("%s(%s: %s) is not the contract's", name, a.Name, a.Type)
		}
	}
	for _, a := range of.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil && f.Arguments.ForName(a.Name) == nil {
			t.Errorf("%s leaves out the argument %s", name, a.Name)
		}
	}
}
