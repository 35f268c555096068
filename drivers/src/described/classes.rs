//! Home Assistant's classes of sensors that are numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an option that is one of a few names.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
        #[allow(missing_docs)] // the names are Home Assistant's
        pub enum $type {
            $(#[serde(rename = $name)] $variant,)+
        }

        impl $type {
            /// Home Assistant's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

names! {
    /// What a number means to Home Assistant: a device class of its sensors.
    DeviceClass {
        ApparentPower = "apparent_power",
        Aqi = "aqi",
        AtmosphericPressure = "atmospheric_pressure",
        Battery = "battery",
        CarbonDioxide = "carbon_dioxide",
        CarbonMonoxide = "carbon_monoxide",
        Current = "current",
        DataRate = "data_rate",
        Distance = "distance",
        Duration = "duration",
        Energy = "energy",
        Frequency = "frequency",
        Gas = "gas",
        Humidity = "humidity",
        Illuminance = "illuminance",
        Irradiance = "irradiance",
        Moisture = "moisture",
        NitrogenDioxide = "nitrogen_dioxide",
        Ozone = "ozone",
        Ph = "ph",
        Pm1 = "pm1",
        Pm10 = "pm10",
        Pm25 = "pm25",
        Power = "power",
        PowerFactor = "power_factor",
        Precipitation = "precipitation",
        PrecipitationIntensity = "precipitation_intensity",
        Pressure = "pressure",
        ReactivePower = "reactive_power",
        SignalStrength = "signal_strength",
        SoundPressure = "sound_pressure",
        Speed = "speed",
        SulphurDioxide = "sulphur_dioxide",
        Temperature = "temperature",
        VolatileOrganicCompounds = "volatile_organic_compounds",
        Voltage = "voltage",
        VolumeFlowRate = "volume_flow_rate",
        Water = "water",
        Weight = "weight",
        WindSpeed = "wind_speed",
    }
}

names! {
    /// How Home Assistant keeps statistics of a number.
    StateClass {
        Measurement = "measurement",
        Total = "total",
        TotalIncreasing = "total_increasing",
    }
}

impl DeviceClass {
    /// Whether it only ever counts: Home Assistant does not take such a number for a measurement.
    #[must_use]
    pub fn is_counter(self) -> bool {
        matches!(self, Self::Energy | Self::Gas | Self::Water)
    }

    /// Whether its numbers have a unit.
    #[must_use]
    pub fn has_unit(self) -> bool {
        !matches!(self, Self::Aqi | Self::Ph | Self::PowerFactor)
    }
}
