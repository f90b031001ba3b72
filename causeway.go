// Package causeway is the vocabulary that every room of the program speaks:
// typed ids, error codes and problems, and the clock. What only two rooms need
// does not enter; nothing here does I/O or holds state.
package causeway
