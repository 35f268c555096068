"""Chips that the lab has not, for `lab-chips`: written from their datasheets, and from nothing that Halyard has.

What they measure, and what goes wrong with them, are files in the folder that HALYARD_CHIPS names.
"""
import errno
import os
import time

FOLDER = os.environ['HALYARD_CHIPS']


def knob(name, default):
    try:
        with open(f'{FOLDER}/{name}') as file:
            return float(file.read())
    except FileNotFoundError:
        return default


def set_knob(name, value):
    with open(f'{FOLDER}/{name}.new', 'w') as file:
        file.write(str(value))
    os.rename(f'{FOLDER}/{name}.new', f'{FOLDER}/{name}')


class Sht4x(I2cChip):
    """Sensirion, Datasheet SHT4x: commands (4.5), checksums (4.4), conversion (4.6). `sht4x.wrong`: so many of the next
    measurements have a wrong checksum."""

    TIMES = {0xFD: 0.0069, 0xF6: 0.0037, 0xE0: 0.0013}

    def __init__(self):
        self.answer = None

    @staticmethod
    def word(number):
        number = max(0, min(65535, round(number)))
        word = bytes([number >> 8, number & 255])
        crc = 0xFF
        for byte in word:
            crc ^= byte
            for _ in range(8):
                crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
        return word + bytes([crc])

    def write(self, data):
        if not data:
            return
        command = data[0]
        if command == 0x94:
            self.answer = None
        elif command == 0x89:
            self.answer = (time.monotonic(), self.word(0xCAFE) + self.word(0x0042))
        elif command in self.TIMES:
            temperature = self.word((knob('sht4x.temperature', 20) + 45) / 175 * 65535)
            humidity = self.word((knob('sht4x.humidity', 50) + 6) / 125 * 65535)
            wrong = knob('sht4x.wrong', 0)
            if wrong > 0:
                set_knob('sht4x.wrong', wrong - 1)
                humidity = humidity[:2] + bytes([humidity[2] ^ 0x80])
            self.answer = (time.monotonic() + self.TIMES[command], temperature + humidity)
        else:
            raise OSError(errno.ENXIO, 'unknown command')

    def read(self, n):
        if self.answer is None or time.monotonic() < self.answer[0]:
            raise OSError(errno.ENXIO, 'nothing to read yet')
        answer, self.answer = self.answer[1], None
        return answer[:n].ljust(n, b'\xff')


class Ads1115(I2cChip):
    """Texas Instruments, SBAS444: "Register Map". The inputs are `ads1115.a0` to `ads1115.a3`, in volts."""

    PAIRS = [(0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None)]
    FULL_SCALE = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256]
    RATE = [8, 16, 32, 64, 128, 250, 475, 860]

    def __init__(self):
        self.pointer, self.registers, self.ready = 0, [0, 0x0583, 0x8000, 0x7FFF], 0

    def write(self, data):
        if not data:
            return
        self.pointer = data[0] & 3
        if len(data) < 3 or self.pointer == 0:
            return
        value = data[1] << 8 | data[2]
        self.registers[self.pointer] = value & 0x7FFF if self.pointer == 1 else value
        if self.pointer == 1 and value & 0x8100 == 0x8100:
            plus, minus = self.PAIRS[value >> 12 & 7]
            volts = knob(f'ads1115.a{plus}', 0) - (0 if minus is None else knob(f'ads1115.a{minus}', 0))
            code = round(volts / self.FULL_SCALE[value >> 9 & 7] * 32768)
            self.registers[0] = max(-32768, min(32767, code)) & 0xFFFF
            self.ready = time.monotonic() + 1 / self.RATE[value >> 5 & 7]

    def read(self, n):
        value = self.registers[self.pointer]
        if self.pointer == 1 and time.monotonic() >= self.ready:
            value |= 0x8000
        return (bytes([value >> 8, value & 255]) * n)[:n]


class Bmp280(I2cChip):
    """Bosch Sensortec, BST-BMP280-DS001: what is told apart from a BME280 by its identity register only."""

    def __init__(self):
        self.register = 0

    def write(self, data):
        if data:
            self.register = data[0]

    def read(self, n):
        return bytes(0x58 if self.register + at == 0xD0 else 0 for at in range(n))


class Pcf8574(I2cChip):
    """NXP, PCF8574: eight lines, high after power-on. Every byte that is written to it is a line in `pcf8574.log`, with
    the time: nothing that happens on a line can be missed."""

    def __init__(self):
        self.lines = 0xFF

    def write(self, data):
        for byte in data:
            self.lines = byte
            with open(f'{FOLDER}/pcf8574.log', 'a') as log:
                log.write(f'{time.time():.6f} {byte}\n')

    def read(self, n):
        return bytes([self.lines]) * n


i2c[0x20] = Pcf8574()
i2c[0x44] = Sht4x()
i2c[0x48] = Ads1115()
# Served only while the lab's own part at this address is told to step aside.
i2c[0x76] = Bmp280()
