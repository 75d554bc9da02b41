package cloud

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"time"
)

// Frames of HTTP/2 (RFC 9113, sections 4.1 and 6): nine bytes of header, which begin with the length of the payload in three bytes,
// and the payload.
const (
	frameHeader       = 9
	frameHeaders      = 0x1
	frameSettings     = 0x4
	frameWindowUpdate = 0x8
)

// OverflowWindow answers the first request on a connection that speaks HTTP/2 with one frame: a WINDOW_UPDATE that makes the
// window of the request's stream larger than it may be. Then it says nothing until the client leaves. A connection that does not
// speak HTTP/2 it leaves at once. It calls sent, if not nil,
// when the frame is on its way.
func OverflowWindow(conn net.Conn, sent func()) {
	_ = conn.SetDeadline(time.Now().Add(serverLimit))
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	if first := make([]byte, len(preface)); readFull(conn, first) != nil || string(first) != preface {
		return
	}
	if _, err := conn.Write(frame(frameSettings, 0, nil)); err != nil {
		return
	}
	for {
		header := make([]byte, frameHeader)
		if readFull(conn, header) != nil {
			return
		}
		length := int64(binary.BigEndian.Uint32(append([]byte{0}, header[:3]...)))
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			return
		}
		if header[3] == frameHeaders {
			most := []byte{0x7f, 0xff, 0xff, 0xff}
			if _, err := conn.Write(frame(frameWindowUpdate, binary.BigEndian.Uint32(header[5:]), most)); err != nil {
				return
			}
			if sent != nil {
				sent()
			}
		}
	}
}

func readFull(conn net.Conn, into []byte) error {
	_, err := io.ReadFull(conn, into)
	return err
}

func frame(kind byte, stream uint32, payload []byte) []byte {
	var b bytes.Buffer
	b.Write([]byte{0, 0, byte(len(payload)), kind, 0})
	b.Write(binary.BigEndian.AppendUint32(nil, stream))
	b.Write(payload)
	return b.Bytes()
}
