//! Countries in English, as the remote control names them (spec 8.3).

use jam_proto::tables::Country;

/// The English name; empty for "not set" and for numbers without a name.
pub(super) fn name(country: Country) -> &'static str {
    let plain = NAMES.get(usize::from(country.0)).copied().unwrap_or_default();
    if plain.is_empty() { country.special_name().unwrap_or_default() } else { plain }
}

/// By the number of the wire; empty where [`Country::special_name`] knows it.
#[rustfmt::skip]
static NAMES: [&str; 262] = [
    "", "Afghanistan", "Albania", "Algeria", "American Samoa", "Andorra", "Angola", "Anguilla", "Antarctica",
    "Antigua and Barbuda", "Argentina", "Armenia", "Aruba", "Australia", "Austria", "Azerbaijan", "Bahamas",
    "Bahrain", "Bangladesh", "Barbados", "Belarus", "Belgium", "Belize", "Benin", "Bermuda", "Bhutan", "Bolivia",
    "Bosnia and Herzegovina", "Botswana", "Bouvet Island", "Brazil", "British Indian Ocean Territory", "Brunei",
    "Bulgaria", "Burkina Faso", "Burundi", "Cambodia", "Cameroon", "Canada", "Cape Verde", "Cayman Islands",
    "Central African Republic", "Chad", "Chile", "China", "Christmas Island", "Cocos Islands", "Colombia", "Comoros",
    "Congo Kinshasa", "Congo Brazzaville", "Cook Islands", "Costa Rica", "Ivory Coast", "Croatia", "Cuba", "Cyprus",
    "Czech Republic", "Denmark", "Djibouti", "Dominica", "Dominican Republic", "East Timor", "Ecuador", "Egypt",
    "El Salvador", "Equatorial Guinea", "Eritrea", "Estonia", "Ethiopia", "Falkland Islands", "Faroe Islands", "Fiji",
    "Finland", "France", "Guernsey", "French Guiana", "French Polynesia", "French Southern Territories", "Gabon",
    "Gambia", "Georgia", "Germany", "Ghana", "Gibraltar", "Greece", "Greenland", "Grenada", "Guadeloupe", "Guam",
    "Guatemala", "Guinea", "Guinea Bissau", "Guyana", "Haiti", "Heard and McDonald Islands", "Honduras", "Hong Kong",
    "Hungary", "Iceland", "India", "Indonesia", "Iran", "Iraq", "Ireland", "Israel", "Italy", "Jamaica", "Japan",
    "Jordan", "Kazakhstan", "Kenya", "Kiribati", "North Korea", "South Korea", "Kuwait", "Kyrgyzstan", "Laos",
    "Latvia", "Lebanon", "Lesotho", "Liberia", "Libya", "Liechtenstein", "Lithuania", "Luxembourg", "Macau",
    "Macedonia", "Madagascar", "Malawi", "Malaysia", "Maldives", "Mali", "Malta", "Marshall Islands", "Martinique",
    "Mauritania", "Mauritius", "Mayotte", "Mexico", "Micronesia", "Moldova", "Monaco", "Mongolia", "Montserrat",
    "Morocco", "Mozambique", "Myanmar", "Namibia", "Nauru", "Nepal", "Netherlands", "Curacao", "New Caledonia",
    "New Zealand", "Nicaragua", "Niger", "Nigeria", "Niue", "Norfolk Island", "Northern Mariana Islands", "Norway",
    "Oman", "Pakistan", "Palau", "Palestinian Territories", "Panama", "Papua New Guinea", "Paraguay", "Peru",
    "Philippines", "Pitcairn", "Poland", "Portugal", "Puerto Rico", "Qatar", "Reunion", "Romania", "Russia", "Rwanda",
    "Saint Kitts and Nevis", "Saint Lucia", "Saint Vincent and the Grenadines", "Samoa", "San Marino",
    "Sao Tome and Principe", "Saudi Arabia", "Senegal", "Seychelles", "Sierra Leone", "Singapore", "Slovakia",
    "Slovenia", "Solomon Islands", "Somalia", "South Africa", "South Georgia and the South Sandwich Islands", "Spain",
    "Sri Lanka", "Saint Helena", "Saint Pierre and Miquelon", "Sudan", "Suriname", "Svalbard and Jan Mayen",
    "Swaziland", "Sweden", "Switzerland", "Syria", "Taiwan", "Tajikistan", "Tanzania", "Thailand", "Togo", "Tokelau",
    "Tonga", "Trinidad and Tobago", "Tunisia", "Turkey", "Turkmenistan", "Turks and Caicos Islands", "Tuvalu",
    "Uganda", "Ukraine", "United Arab Emirates", "United Kingdom", "United States",
    "United States Minor Outlying Islands", "Uruguay", "Uzbekistan", "Vanuatu", "Vatican City State", "Venezuela",
    "Vietnam", "British Virgin Islands", "United States Virgin Islands", "Wallis and Futuna", "Western Sahara",
    "Yemen", "", "Zambia", "Zimbabwe", "Clipperton Island", "Montenegro", "Serbia", "Saint Barthelemy",
    "Saint Martin", "", "", "Aland Islands", "", "", "Isle of Man", "Jersey", "", "South Sudan", "Bonaire",
    "Sint Maarten", "", "", "", "", "",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_with_a_code_has_a_name() {
        for number in 0..300 {
            let country = Country(number);
            assert_eq!(name(country).is_empty(), country.code().is_none(), "{number}");
        }
        for (code, wanted) in [("AF", "Afghanistan"), ("DE", "Germany"), ("CW", "Curacao"), ("XK", "Kosovo")]
        {
            assert_eq!(name(Country::from_code(code).unwrap()), wanted);
        }
        assert_eq!(name(Country::from_code("SX").unwrap()), "Sint Maarten");
    }
}
