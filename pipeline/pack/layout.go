package pack

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// Arrow's own reader copies every buffer twice, and trusts the lengths it
// reads: a few flipped bits make it ask for more memory than there is, which
// nothing recovers from. So the record batches' buffers are found here and used
// in place, and the schema reaches Arrow only when it is as small as ours. See
// https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format and the
// flatbuffers' definitions that it links: File.fbs, Message.fbs, Schema.fbs.

const (
	magic = "ARROW1"
	// preamble is the magic, padded.
	preamble = 8
	// trailer is the footer's length and the magic.
	trailer = 4 + len(magic)
	// continuation and length come before a message.
	prefix       = 8
	continuation = 0xffffffff
	// mostMetadata is the most entries that the schema's metadata may have.
	mostMetadata = 64
)

// Types of messages.
const (
	schemaMessage = 1
	batchMessage  = 3
)

// Fields of the flatbuffers' tables, as offsets into their vtables.
const (
	footerBatches = 10

	messageType   = 6
	messageHeader = 8

	schemaEndianness = 4
	schemaFields     = 6
	schemaMetadata   = 8

	fieldDictionary = 12
	fieldChildren   = 14
	fieldMetadata   = 16

	batchLength      = 4
	batchNodes       = 6
	batchBuffers     = 8
	batchCompression = 10
)

// Bytes of the structs that vectors hold.
const (
	blockSize  = 24 // footer: offset, metadata's length, body's length
	nodeSize   = 16 // column: length, number of nulls
	bufferSize = 16 // buffer: offset, length
)

// A batch is a record batch.
type batch struct {
	rows    int
	buffers [columnEnd]([]byte)
}

// Each column's first buffer would say which values are null; the last one
// holds the values, and path has the offsets of its values between them.
const (
	pathColumn   = 0
	classColumn  = 3
	splitColumn  = 5
	pixelsColumn = 7
	columnEnd    = 9
)

var firstBuffer = [...]int{pathColumn, classColumn, splitColumn, pixelsColumn, columnEnd}

// column is the column as Arrow takes it, without a copy.
func (b *batch) column(schema *arrow.Schema, column int) arrow.ArrayData {
	buffers := []*memory.Buffer{nil}
	for _, bytes := range b.buffers[firstBuffer[column]+1 : firstBuffer[column+1]] {
		buffers = append(buffers, memory.NewBufferBytes(bytes))
	}
	return array.NewData(schema.Field(column).Type, b.rows, buffers, nil, 0, 0)
}

// layout finds a file's record batches. It panics where a flatbuffer leads
// outside of the data.
func layout(data []byte) ([]batch, error) {
	if len(data) < preamble+trailer || string(data[:len(magic)]) != magic || string(data[len(data)-len(magic):]) != magic {
		return nil, errors.New("not an Arrow file, or cut off")
	}
	end := len(data) - trailer
	schema, err := message(data[preamble:end], schemaMessage)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(schema); err != nil {
		return nil, err
	}
	footer, err := footer(data[preamble : len(data)-len(magic)])
	if err != nil {
		return nil, err
	}
	start, number := vector(footer, footerBatches)
	var batches []batch
	for i := range number {
		block := start + flatbuffers.UOffsetT(i*blockSize)
		head, err := within(data[:end], footer.GetInt64(block), int64(footer.GetInt32(block+8)))
		if err != nil {
			return nil, fmt.Errorf("record batch %d: %w", i, err)
		}
		body, err := within(data[:end], footer.GetInt64(block)+int64(len(head)), footer.GetInt64(block+16))
		if err != nil {
			return nil, fmt.Errorf("record batch %d: %w", i, err)
		}
		table, err := message(head, batchMessage)
		if err != nil {
			return nil, fmt.Errorf("record batch %d: %w", i, err)
		}
		b, err := readBatch(table, body)
		if err != nil {
			return nil, fmt.Errorf("record batch %d: %w", i, err)
		}
		batches = append(batches, b)
	}
	return batches, nil
}

// message is the header of the message that data begins with.
func message(data []byte, kind byte) (*flatbuffers.Table, error) {
	if binary.LittleEndian.Uint32(data) != continuation {
		return nil, errors.New("no message where one must be")
	}
	metadata, err := within(data, prefix, int64(int32(binary.LittleEndian.Uint32(data[4:]))))
	if err != nil {
		return nil, err
	}
	table := root(metadata)
	if got := table.GetByteSlot(messageType, 0); got != kind {
		return nil, fmt.Errorf("a message of type %d, must be %d", got, kind)
	}
	return child(table, messageHeader)
}

// footer is the table at the end of data, before its length.
func footer(data []byte) (*flatbuffers.Table, error) {
	end := len(data) - 4
	length := int64(binary.LittleEndian.Uint32(data[end:]))
	bytes, err := within(data[:end], int64(end)-length, length)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return root(bytes), nil
}

// checkSchema refuses schemas that are not like ours in size; what the columns
// are is checked when Arrow has read it.
func checkSchema(schema *flatbuffers.Table) error {
	if schema.GetInt16Slot(schemaEndianness, 0) != 0 {
		return errors.New("not little-endian")
	}
	if _, entries := vector(schema, schemaMetadata); entries > mostMetadata {
		return fmt.Errorf("%d entries of metadata", entries)
	}
	start, number := vector(schema, schemaFields)
	if number != len(firstBuffer)-1 {
		return fmt.Errorf("%d columns, must be %d", number, len(firstBuffer)-1)
	}
	for i := range number {
		field := &flatbuffers.Table{Bytes: schema.Bytes, Pos: schema.Indirect(start + flatbuffers.UOffsetT(i*4))}
		_, children := vector(field, fieldChildren)
		_, entries := vector(field, fieldMetadata)
		if children > 0 || entries > 0 || field.Offset(fieldDictionary) != 0 {
			return fmt.Errorf("column %d is not a plain one", i)
		}
	}
	return nil
}

// readBatch finds a record batch's buffers in its body.
func readBatch(table *flatbuffers.Table, body []byte) (batch, error) {
	var b batch
	if table.Offset(batchCompression) != 0 {
		return b, errors.New("compressed")
	}
	rows := table.GetInt64Slot(batchLength, 0)
	nodes, columns := vector(table, batchNodes)
	buffers, parts := vector(table, batchBuffers)
	if columns != len(firstBuffer)-1 || parts != columnEnd {
		return b, fmt.Errorf("%d columns in %d buffers, must be %d in %d", columns, parts, len(firstBuffer)-1, columnEnd)
	}
	for i := range columns {
		node := nodes + flatbuffers.UOffsetT(i*nodeSize)
		if length, nulls := table.GetInt64(node), table.GetInt64(node+8); length != rows || nulls != 0 {
			return b, fmt.Errorf("column %d has %d values and %d nulls, must be %d and none", i, length, nulls, rows)
		}
	}
	for i := range parts {
		buffer := buffers + flatbuffers.UOffsetT(i*bufferSize)
		bytes, err := within(body, table.GetInt64(buffer), table.GetInt64(buffer+8))
		if err != nil {
			return b, fmt.Errorf("buffer %d: %w", i, err)
		}
		b.buffers[i] = bytes
	}
	// One byte of split a row bounds the number of rows, before it is used in
	// products below and in Open.
	if rows < 0 || rows > int64(len(b.buffers[splitColumn+1])) ||
		rows*2 > int64(len(b.buffers[classColumn+1])) || (rows+1)*4 > int64(len(b.buffers[pathColumn+1])) {
		return b, fmt.Errorf("%d rows, more than its buffers hold", rows)
	}
	b.rows = int(rows)
	return b, nil
}

// within is the part of data at an offset, which is a multiple of eight as in
// all of Arrow, so that numbers in it are aligned.
func within(data []byte, offset, length int64) ([]byte, error) {
	if offset < 0 || length < 0 || offset%8 != 0 || offset > int64(len(data)) || length > int64(len(data))-offset {
		return nil, fmt.Errorf("%d bytes at %d lie outside or are not aligned", length, offset)
	}
	return data[offset : offset+length : offset+length], nil
}

func root(data []byte) *flatbuffers.Table {
	return &flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
}

// child is the table that a field leads to.
func child(table *flatbuffers.Table, field flatbuffers.VOffsetT) (*flatbuffers.Table, error) {
	offset := flatbuffers.UOffsetT(table.Offset(field))
	if offset == 0 {
		return nil, errors.New("a message without a header")
	}
	return &flatbuffers.Table{Bytes: table.Bytes, Pos: table.Indirect(table.Pos + offset)}, nil
}

// vector is where the elements of a field lie, and their number.
func vector(table *flatbuffers.Table, field flatbuffers.VOffsetT) (flatbuffers.UOffsetT, int) {
	offset := flatbuffers.UOffsetT(table.Offset(field))
	if offset == 0 {
		return 0, 0
	}
	return table.Vector(offset), table.VectorLen(offset)
}
