package connection

// sealed are the bytes of a sealed secret's column; nil if it has none. ent reads
// NULL bytes as a pointer to nothing, so that the pointer alone tells nothing.
func sealed(column *[]byte) []byte {
	if column == nil || len(*column) == 0 {
		return nil
	}
	return *column
}
