package transport

import "time"

// SocketLimits bound what one WebSocket may have and how long it may take. Zero
// stands for the default.
type SocketLimits struct {
	// Message is the length of one message from a client in bytes. Longer: close 1009.
	Message int64 `placeholder:"N" help:"Length of one message from a client in bytes. Default: 1048576."`
	// Operations is how many operations of one socket may run at a time.
	Operations int `placeholder:"N" help:"Operations of one socket at a time. Default: 200."`
	// QueueBytes and QueueFrames bound what waits for a reader that is behind. A feed
	// that finds no room ends with the overrun's error; answers to queries wait.
	QueueBytes  int `placeholder:"N" help:"Bytes that may wait for one socket's reader. Default: 1048576."`
	QueueFrames int `placeholder:"N" help:"Frames that may wait for one socket's reader. Default: 2048."`
	// Init is how long a client may take for connection_init. Longer: close 4408.
	Init time.Duration `placeholder:"DURATION" help:"Time for a client's connection_init. Default: 10s."`
	// Ping is the time between two looks whether a client is still there. One that says
	// nothing for twice as long and does not answer is closed.
	Ping time.Duration `placeholder:"DURATION" help:"Time between two pings. Default: 25s."`
	// Write is how long a reader may take nothing of what waits for it.
	Write time.Duration `placeholder:"DURATION" help:"Time for a reader to take something of what waits for it. Default: 10s."`
	// Close is how long a client may take to answer the server's close.
	Close time.Duration `placeholder:"DURATION" help:"Time for a client to answer the server's close. Default: 1s."`
}

func (l SocketLimits) withDefaults() SocketLimits {
	for _, limit := range []struct {
		value   *int
		instead int
	}{{&l.Operations, 200}, {&l.QueueBytes, 1 << 20}, {&l.QueueFrames, 2048}} {
		if *limit.value == 0 {
			*limit.value = limit.instead
		}
	}
	if l.Message == 0 {
		l.Message = 1 << 20
	}
	for _, limit := range []struct {
		value   *time.Duration
		instead time.Duration
	}{{&l.Init, 10 * time.Second}, {&l.Ping, 25 * time.Second}, {&l.Write, 10 * time.Second}, {&l.Close, time.Second}} {
		if *limit.value == 0 {
			*limit.value = limit.instead
		}
	}
	return l
}
