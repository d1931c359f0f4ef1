<?php
return array (
  'modules' =>
  array (
    'Acme_Core' => 1,
    'Acme_Gone' => 1,
    'Acme_Twice' => 1,
    'Acme_Broken' => 1,
    'Acme_Odd' => 1,
  ),
);
