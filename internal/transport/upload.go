package transport

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

// Bounds of a form besides its length.
const (
	mostFiles  = 20
	mostPaths  = 100     // places that files are put into
	longestMap = 1 << 16 // bytes
	inMemory   = 1 << 18 // bytes of a file; a longer one waits on disk
)

// readForm reads a request by the GraphQL multipart request specification: the part
// operations, the part map, then the files that the map names, each once. done gives
// their memory back; it may be called whatever happened.
func readForm(r *http.Request, boundary string, operations int64) (_ *graphql.RawParams, done func(), _ *refusal) {
	f := &form{reader: multipart.NewReader(r.Body, boundary)}
	params, refused := f.read(operations)
	return params, f.done, refused
}

type form struct {
	reader *multipart.Reader
	files  []*os.File
}

func (f *form) read(operations int64) (*graphql.RawParams, *refusal) {
	raw, ok := f.field("operations", operations)
	if !ok {
		return nil, badRequest("the form's first part is operations, not longer than a body without files")
	}
	params, refused := readJSON(bytes.NewReader(raw))
	if refused != nil {
		refused.words = strings.Replace(refused.words, "the body", "operations", 1)
		return nil, refused
	}
	raw, ok = f.field("map", longestMap)
	var places map[string][]string
	if !ok || json.Unmarshal(raw, &places) != nil || places == nil {
		return nil, badRequest("the form's second part is map, a JSON object of lists of paths")
	}
	paths := 0
	for _, to := range places {
		paths += len(to)
	}
	if len(places) > mostFiles || paths > mostPaths {
		return nil, badRequest("the form has too many files")
	}
	return params, f.readFiles(params.Variables, places)
}

// field reads the next part, which must be this one.
func (f *form) field(name string, longest int64) ([]byte, bool) {
	part, err := f.reader.NextPart()
	if err != nil || part.FormName() != name {
		return nil, false
	}
	raw, err := io.ReadAll(io.LimitReader(part, longest+1))
	return raw, err == nil && int64(len(raw)) <= longest
}

func (f *form) readFiles(variables map[string]any, places map[string][]string) *refusal {
	for {
		part, err := f.reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return badRequest("the form ends in the middle")
		}
		to, ok := places[part.FormName()]
		if !ok {
			return badRequest("the form has a part that map does not name, or one twice")
		}
		delete(places, part.FormName())
		for i, path := range to {
			if i == 0 {
				err = f.put(variables, path, part)
			} else {
				err = again(variables, to[0], path)
			}
			if err != nil {
				return badRequest(err.Error())
			}
		}
	}
	if len(places) > 0 {
		return badRequest("a file that map names is missing")
	}
	return nil
}

// formError is what is wrong with a form, in words for the client.
type formError string

func (e formError) Error() string { return string(e) }

const (
	errNoPlace = formError("map names a place that is not a null in variables")
	errCut     = formError("a file could not be read")
)

// put reads a file into its place.
func (f *form) put(variables map[string]any, path string, part *multipart.Part) error {
	head, err := io.ReadAll(io.LimitReader(part, inMemory+1))
	if err != nil {
		return errCut
	}
	upload := graphql.Upload{
		File:        bytes.NewReader(head),
		Filename:    part.FileName(),
		Size:        int64(len(head)),
		ContentType: part.Header.Get("Content-Type"),
	}
	if len(head) > inMemory {
		if upload.File, upload.Size, err = f.onDisk(io.MultiReader(bytes.NewReader(head), part)); err != nil {
			return errCut
		}
	}
	return place(variables, path, upload)
}

func (f *form) onDisk(content io.Reader) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "upload-")
	if err != nil {
		return nil, 0, err
	}
	f.files = append(f.files, file)
	size, err := io.Copy(file, content)
	if err != nil {
		return nil, 0, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, size, err
}

// done removes what was put on disk.
func (f *form) done() {
	for _, file := range f.files {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	f.files = nil
}

// again puts a file that is in one place into another as well, to be read from its
// beginning there, too.
func again(variables map[string]any, from, to string) error {
	slot, ok := find(variables, from)
	if !ok {
		return errNoPlace
	}
	upload, ok := slot.get().(graphql.Upload)
	readerAt, canBoth := upload.File.(io.ReaderAt)
	if !ok || !canBoth {
		return errNoPlace
	}
	upload.File = io.NewSectionReader(readerAt, 0, upload.Size)
	return place(variables, to, upload)
}

// slot is a place in the variables.
type slot struct {
	object map[string]any
	key    string
	list   []any
	index  int
}

func (s slot) get() any {
	if s.object != nil {
		return s.object[s.key]
	}
	return s.list[s.index]
}

// place puts a file where the variables have a null for it.
func place(variables map[string]any, path string, upload graphql.Upload) error {
	s, ok := find(variables, path)
	if !ok || s.get() != nil {
		return errNoPlace
	}
	if s.object != nil {
		s.object[s.key] = upload
	} else {
		s.list[s.index] = upload
	}
	return nil
}

// find follows a path such as variables.files.0; it must be there.
func find(variables map[string]any, path string) (slot, bool) {
	rest, ok := strings.CutPrefix(path, "variables.")
	if !ok {
		return slot{}, false
	}
	var here slot
	var at any = variables
	for key := range strings.SplitSeq(rest, ".") {
		switch inside := at.(type) {
		case map[string]any:
			if _, there := inside[key]; !there {
				return slot{}, false
			}
			here = slot{object: inside, key: key}
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(inside) {
				return slot{}, false
			}
			here = slot{list: inside, index: i}
		default:
			return slot{}, false
		}
		at = here.get()
	}
	return here, true
}
