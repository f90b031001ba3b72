package causeway

import _ "embed"

//go:embed schema.graphqls
var schema string

// Schema is the API as schema.graphqls describes it, comments included.
func Schema() string { return schema }
