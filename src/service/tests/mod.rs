//! Whole logins: recorded ones of a live Magento, and tables of what an account may lack.

mod accounts;
mod recorded;
mod throttling;
