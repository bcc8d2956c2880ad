package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// A message is an encoded protobuf message to which fields are appended. The
// fields' numbers are those of ONNX's onnx.proto, version 1.12.
type message []byte

func (m *message) integer(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) bytes(field protowire.Number, v []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

func (m *message) text(field protowire.Number, v string) { m.bytes(field, []byte(v)) }

// ONNX's numbers of element types.
const (
	float32Type = 1
	uint8Type   = 2
	int64Type   = 7
)

// tensor is a TensorProto.
func tensor(name string, elementType int64, shape []int, raw []byte) (m message) {
	for _, size := range shape {
		m.integer(1, int64(size))
	}
	m.integer(2, elementType)
	m.text(8, name)
	m.bytes(9, raw)
	return m
}

func floats(name string, shape []int, values []float32) message {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return tensor(name, float32Type, shape, raw)
}

func integers(name string, values ...int64) message {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return tensor(name, int64Type, []int{len(values)}, raw)
}

// integerAttribute is an AttributeProto of one integer.
func integerAttribute(name string, v int64) (m message) {
	m.text(1, name)
	m.integer(3, v)
	m.integer(20, 2) // type INT
	return m
}

// integersAttribute is an AttributeProto of a list of integers.
func integersAttribute(name string, values ...int64) (m message) {
	m.text(1, name)
	for _, v := range values {
		m.integer(8, v)
	}
	m.integer(20, 7) // type INTS
	return m
}

// value is a ValueInfoProto of a tensor whose first dimension, N, is free.
func value(name string, elementType int64, shape ...int) message {
	var dimensions message
	var free message
	free.text(2, "N")
	dimensions.bytes(1, free)
	for _, size := range shape {
		var dimension message
		dimension.integer(1, int64(size))
		dimensions.bytes(1, dimension)
	}
	var tensorType, typ, m message
	tensorType.integer(1, elementType)
	tensorType.bytes(2, dimensions)
	typ.bytes(1, tensorType)
	m.text(1, name)
	m.bytes(2, typ)
	return m
}
